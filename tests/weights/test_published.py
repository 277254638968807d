"""Published checkpoints, served at their real addresses: verified, converted once, remembered."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.errors import UsageError, WeightsError
from srcli.inference.adopt import adopt, published_content
from srcli.weights import WeightsEntry, best_scale, by_quality, known, manifest, needs_trust
from srcli.weights.download import download
from srcli.weights.load import read_weights
from srcli.weights.places import file_of
from srcli.weights.policy import Policy
from srcli.weights.records import fingerprint_of, record_file, record_of
from srcli.weights.remove import remove_weights
from srcli.weights.verify import fault_of, hashes_of
from tests.weights.published_server import (
    PUBLISHED,
    PublishedServer,
    entry_of,
    fabricated,
    published,
    serving_published,
)
from tests.weights.states import state
from tests.weights.test_loading import Canary

SMALL, BLOB, UNVERIFIED = "smfanet_x4", "adaformer-published_x4", "atd-light_x2"
QUICK = Policy(back_off=0.01, timeout=5, retries=2)
TRUSTING = replace(QUICK, trust_first=True)


@pytest.fixture
def served(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PublishedServer]:
    with serving_published(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def offered(served: PublishedServer, name: str, content: bytes | None = None) -> WeightsEntry:
    """The entry, with a file at its real address; its hashes are of the fabricated one."""
    entry = entry_of(name, fabricated(name))
    served.serve(entry, fabricated(name) if content is None else content)
    return entry


def fetch(entry: WeightsEntry, policy: Policy = QUICK) -> Path:
    return download(entry, policy, convert=published_content)


def left(cache: Path) -> list[str]:
    """All files there are, but for locks."""
    found = (p for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(str(path.relative_to(cache)) for path in found)


def saved(tensors: object) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def test_the_git_blob_is_that_of_git(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert hashes_of(path).git_blob == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries_say_what_is_needed(name: str) -> None:
    entry = published(name)
    assert all(url.startswith("https://") for url in entry.urls)
    assert entry.licence
    assert entry.training_data
    assert entry.hash_published or entry.model == "atd-light"
    if entry.recommended:
        assert entry.hash_published
    for figures in (entry.psnr_y, entry.psnr_published):
        assert set(figures) <= {"Set5", "Set14", "B100", "Urban100"}
        assert all(25 < figure < 39 for figure in figures.values())


@pytest.mark.parametrize("name", ["smfanet-plus_x4", "smfanet-plus_x2", "smfanet_x4"])
def test_real_files_are_verified_converted_and_read(
    served: PublishedServer, cache: Path, shared: Path, name: str
) -> None:
    entry = published(name)
    served.serve(entry, (shared / "weights" / "published" / entry.file).read_bytes())
    fetch(entry)
    theirs = torch.load(shared / "weights" / "published" / entry.file, weights_only=True)["params"]
    held = read_weights(best_scale(entry.model, entry.scale))
    assert len(held) == len(theirs)
    assert torch.equal(held["head.weight"], theirs["to_feat.weight"])


@pytest.mark.parametrize("name", [SMALL, BLOB])
def test_a_checkpoint_is_converted_once(served: PublishedServer, cache: Path, name: str) -> None:
    entry = offered(served, name)
    path = fetch(entry)
    assert path == file_of(entry) == cache / "weights" / f"{name}.safetensors"
    assert left(cache) == [f"records/{name}.json", f"weights/{name}.safetensors"]
    record = record_of(entry)
    assert record is not None
    assert record.sha256 == hashlib.sha256(fabricated(name)).hexdigest()
    assert record.converted_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fault_of(entry) is None
    assert read_weights(entry)
    assert fetch(entry) == path
    assert len(served.requests) == 1


def test_an_altered_safetensors_file_is_refused_and_fetched_again(
    served: PublishedServer, cache: Path
) -> None:
    entry = offered(served, SMALL)
    path = fetch(entry)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"the record of its download says .* gets it again"):
        read_weights(entry)
    assert str(fault_of(entry)).startswith("altered: ")
    assert fault_of(entry) != fault_of(replace(entry, sha256="0" * 64))
    fetch(entry)
    assert read_weights(entry)


@pytest.mark.parametrize("damage", ["gone", "[]", "{", '{"sha256": 3}'])
def test_without_its_record_a_file_is_not_trusted(
    served: PublishedServer, cache: Path, damage: str
) -> None:
    entry = offered(served, SMALL)
    fetch(entry)
    record_file(entry).write_text(damage, "utf-8")
    if damage == "gone":
        record_file(entry).unlink()
    assert "nothing is remembered" in str(fault_of(entry))
    with pytest.raises(WeightsError, match="srcli weights download smfanet_x4"):
        read_weights(entry)
    fetch(entry)
    assert read_weights(entry)


def test_another_hash_in_the_manifest_means_another_file(
    served: PublishedServer, cache: Path
) -> None:
    entry = offered(served, SMALL)
    fetch(entry)
    newer = entry_of(SMALL, fabricated(SMALL, 1))
    assert record_of(newer) is None
    served.serve(newer, fabricated(SMALL, 1))
    fetch(newer)
    assert fault_of(newer) is None


@pytest.mark.parametrize("name", [SMALL, BLOB])
def test_another_file_is_refused(served: PublishedServer, cache: Path, name: str) -> None:
    entry = offered(served, name)
    served.fault = "wrong"
    kind = "sha256" if name == SMALL else "git blob"
    with pytest.raises(WeightsError, match=rf"{kind} is \w+, the manifest says \w+.*hint: "):
        fetch(entry)
    assert left(cache) == []


def test_without_a_hash_nothing_is_asked_for_before_trust(
    served: PublishedServer, cache: Path
) -> None:
    entry = offered(served, UNVERIFIED)
    with pytest.raises(WeightsError, match=r"nobody publishes a hash .* hint: --trust-first"):
        fetch(entry)
    assert not served.requests
    assert not cache.exists()


def test_the_first_download_counts_from_then_on(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, UNVERIFIED)
    assert fingerprint_of(entry) == ""
    fetch(entry, TRUSTING)
    assert fingerprint_of(entry) == hashlib.sha256(fabricated(UNVERIFIED)).hexdigest()
    assert not needs_trust(entry)
    for model in ("atd-light", "pp-atd-light"):
        assert read_weights(best_scale(model, 2))
    remove_weights([entry])
    served.serve(entry, fabricated(UNVERIFIED, 1))
    for policy in (QUICK, TRUSTING):
        with pytest.raises(WeightsError, match=r"that of the first download was \w+.*--forget"):
            fetch(entry, policy)
    assert left(cache) == [f"records/{UNVERIFIED}.json"]
    served.serve(entry, fabricated(UNVERIFIED))
    fetch(entry)  # the same file again needs no trust
    remove_weights([entry], forget=True)
    assert left(cache) == []
    served.serve(entry, fabricated(UNVERIFIED, 1))
    fetch(entry, TRUSTING)


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
    with pytest.raises(WeightsError, match=r"times\); hint: try again later: it goes on where"):
        fetch(entry, replace(QUICK, retries=0))


def test_more_than_srcli_takes_is_refused(
    served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcli.weights.transfer._LARGEST_UNSTATED", 10_000)
    entry = offered(served, BLOB)
    with pytest.raises(WeightsError, match=r"bytes, more than the 10000 that srcli takes"):
        fetch(entry)
    assert left(cache) == []


def test_a_proxy_that_refuses(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)
    served.fault = "denied"
    with pytest.raises(WeightsError, match=r"407.*hint: check the network, and the proxy HTTPS_"):
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
    with pytest.raises(WeightsError, match=r"refused.*hint: check the network"):
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


def test_an_import_of_the_published_file_is_known_as_such(
    served: PublishedServer, cache: Path, shared: Path
) -> None:
    entry = adopt(shared / "weights" / "published" / published(SMALL).file)
    assert entry.name == SMALL
    assert (entry.licence, entry.psnr_y) == ("Apache-2.0", published(SMALL).psnr_y)
    assert best_scale("smfanet", 4) == entry
    assert not served.requests


def test_an_import_may_take_the_place_of_what_is_only_offered(
    tmp_path: Path, served: PublishedServer, cache: Path
) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(fabricated(SMALL))
    assert adopt(path).licence == "not stated"  # random numbers: not the published file
    assert best_scale("smfanet", 4).folder is not None
    with pytest.raises(UsageError, match="smfanet_x4 is there already"):
        adopt(path)
    with pytest.raises(UsageError, match="recommended is a word of srcli weights download"):
        adopt(path, name="recommended")


def test_a_download_that_is_here_is_not_replaced_by_an_import(
    tmp_path: Path, served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(fabricated(SMALL))
    fetch(offered(served, SMALL))
    with pytest.raises(UsageError, match="smfanet_x4 is there already: give yours a --name"):
        adopt(path)


def test_the_best_of_each_scale_comes_first() -> None:
    names = [entry.name for entry in by_quality(manifest())]
    assert names.index("smfanet-plus_x4") < names.index("smfanet_x4") < names.index("adaformer_x4")
    assert [entry.scale for entry in by_quality(known())] == sorted(
        (entry.scale for entry in known()), reverse=True
    )


def test_records_are_plain_json(served: PublishedServer, cache: Path) -> None:
    entry = offered(served, SMALL)
    fetch(entry)
    record = json.loads(record_file(entry).read_text("utf-8"))
    assert record["address"] == entry.urls[0]
    assert record["size"] == len(fabricated(SMALL))
