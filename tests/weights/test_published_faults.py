"""Published checkpoints that come altered, cut short or not at all: one line, nothing left."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.errors import WeightsError
from srcli.transfer.policy import Policy
from srcli.weights import WeightsEntry
from srcli.weights.download import download
from srcli.weights.hashes import fault_of
from srcli.weights.import_weights import published_content
from srcli.weights.load import read_weights
from srcli.weights.local_files import file_of, remove_weights
from tests.weights.published_server import (
    BLOB,
    QUICK,
    SMALL,
    TRUSTING,
    UNVERIFIED,
    PublishedServer,
    entry_of,
    fabricated,
    fetch,
    left,
    offered,
)
from tests.weights.states import state
from tests.weights.test_loading import Canary


def saved(tensors: object) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def damaged(kind: str, canary: Path) -> bytes:
    tensors = dict(state("atd-light", 2))
    name = "head.weight"
    if kind == "scale":
        tensors = dict(state("atd-light", 3))
    elif kind == "missing":
        del tensors[name]
    elif kind == "nan":
        tensors[name] = tensors[name] * float("nan")
    elif kind == "integers":
        tensors[name] = tensors[name].to(torch.int32)
    elif kind == "program":
        return saved({"params": tensors, "hook": Canary(canary)})
    elif kind == "half":
        whole = saved({"params": tensors})
        return whole[: len(whole) // 2]
    return saved({"params": tensors})


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("scale", "does not fit atd-light x2"),
        ("missing", r"missing (head\.weight|conv_first\.weight)"),
        ("nan", "holds values that are not finite"),
        ("integers", "is int32: only 16 to 64 bit floats"),
        ("program", "would run code it contains"),
        ("half", "not a whole PyTorch checkpoint"),
    ],
)
def test_a_first_download_of_another_structure_is_refused(
    served: PublishedServer, cache: Path, tmp_path: Path, kind: str, line: str
) -> None:
    entry = offered(served, UNVERIFIED, damaged(kind, tmp_path / "canary"))
    with pytest.raises(WeightsError, match=line) as told:
        fetch(entry, TRUSTING)
    assert "drive.usercontent.google.com" in str(told.value)
    assert ".part" not in str(told.value)
    assert left(cache) == []
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", [SMALL, BLOB, UNVERIFIED])
@pytest.mark.parametrize("fault", ["page", "quiet-page"])
def test_a_web_page_is_not_the_file(
    served: PublishedServer, cache: Path, name: str, fault: str
) -> None:
    entry = offered(served, name)
    served.fault = fault
    with pytest.raises(WeightsError, match=r"a web page instead of the file; hint: .*import FILE"):
        fetch(entry, TRUSTING)
    assert not file_of(entry).exists()
    assert all((cache / path).stat().st_size == 0 for path in left(cache))


@pytest.mark.parametrize("name", [SMALL, BLOB, UNVERIFIED])
def test_a_download_goes_on_where_it_was_cut_off(
    served: PublishedServer, cache: Path, name: str
) -> None:
    entry = offered(served, name)
    served.cuts = 2
    seen: list[tuple[int, int]] = []
    download(entry, TRUSTING, lambda *bytes_: seen.append(bytes_), convert=published_content)
    size = len(fabricated(name))
    first = size // 2
    second = first + (size - first) // 2
    assert [asked for _, asked in served.requests] == ["", f"bytes={first}-", f"bytes={second}-"]
    assert seen[-1] == (size, size)
    assert read_weights(entry)


@pytest.mark.parametrize("name", [SMALL, BLOB])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_what_a_killed_process_left_is_gone_on_with(
    served: PublishedServer, cache: Path, name: str, share: float
) -> None:
    entry = offered(served, name)
    whole = fabricated(name)
    there = int(len(whole) * share)
    partial = cache / "weights" / f".{name}.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(whole[:there])
    fetch(entry)
    asked = [] if share == 1.0 and entry.size else [f"bytes={there}-"]
    assert [one for _, one in served.requests] == asked
    assert fault_of(entry) is None


def test_half_of_an_unverified_file_is_not_gone_on_with(
    served: PublishedServer, cache: Path
) -> None:
    """Nothing would tell that its halves are of two files."""
    entry = offered(served, UNVERIFIED)
    partial = cache / "weights" / f".{UNVERIFIED}.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"of an earlier version")
    fetch(entry, TRUSTING)
    assert [asked for _, asked in served.requests] == [""]


@pytest.mark.parametrize("name", [BLOB, UNVERIFIED])
def test_a_file_cut_short_unannounced_is_refused(
    served: PublishedServer, cache: Path, name: str
) -> None:
    entry = offered(served, name)
    served.fault = "unannounced"
    with pytest.raises(WeightsError, match=r"git blob is|not a whole PyTorch checkpoint"):
        fetch(entry, TRUSTING)
    assert left(cache) == []


def test_a_server_that_never_gives_all_is_given_up(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)
    served.cuts = 99
    with pytest.raises(WeightsError, match=r"times\); hint: try again later: it continues where"):
        fetch(entry, replace(QUICK, retries=0))


def test_more_than_srcli_takes_is_refused(
    served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcli.weights.download._LARGEST_UNSTATED", 10_000)
    entry = offered(served, BLOB)
    with pytest.raises(WeightsError, match=r"bytes, more than the 10000 that srcli takes"):
        fetch(entry)
    assert left(cache) == []


def test_a_proxy_that_refuses(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)
    served.fault = "denied"
    with pytest.raises(
        WeightsError, match=r"407.*hint: check the internet connection, and the proxy HTTPS_"
    ):
        fetch(entry, replace(QUICK, retries=0))


def test_a_company_that_opens_tls_and_is_not_trusted(
    served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = offered(served, SMALL)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(WeightsError, match=r"certificate.*hint: .*SSL_CERT_FILE names its file"):
        fetch(entry)
    assert left(cache) == []


def test_no_network(cache: Path) -> None:
    entry = replace(entry_of(SMALL, fabricated(SMALL)), urls=("https://127.0.0.1:1/x.pth",))
    with pytest.raises(WeightsError, match=r"refused.*hint: check the internet connection"):
        fetch(entry, replace(QUICK, retries=0))
    assert left(cache) == []


def test_offline_says_how_else(served: PublishedServer, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"SMFANet_DF2K_100w_x4SR\.pth from elsewhere and srcli"):
        fetch(offered(served, SMALL), replace(QUICK, offline=True))
    assert not served.requests


def test_a_mirror_has_the_file_by_its_name(
    served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entry_of(SMALL, fabricated(SMALL))
    served.files[f"raw.githubusercontent.com/{entry.file}"] = fabricated(SMALL)
    for variable in ("SRCLI_WEIGHTS_MIRROR", "SRCLI_WEIGHTS_URL"):
        monkeypatch.setenv(variable, "https://raw.githubusercontent.com/")
        fetch(entry, replace(QUICK, mirror=Policy.of_environment().mirror))
        remove_weights([entry])
        monkeypatch.delenv(variable)
    assert [place for place, _ in served.requests] == [
        f"raw.githubusercontent.com/{entry.file}"
    ] * 2


def test_a_folder_that_takes_no_record(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)
    cache.mkdir()
    (cache / "records").write_text("in the way", "utf-8")
    with pytest.raises(WeightsError, match=r"records: smfanet_x4 cannot be written there"):
        fetch(entry)
    assert left(cache) == ["records"]


def test_a_disk_that_fills_up_while_converting(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)

    def full(entry: WeightsEntry, path: Path) -> bytes:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(WeightsError, match=r"does not fit on the disk .* No space left on device"):
        download(entry, QUICK, convert=full)
    assert left(cache) == []
