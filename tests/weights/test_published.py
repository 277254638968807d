"""Published checkpoints, served at their real addresses: verified, converted once, remembered."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from srcli.errors import UsageError, WeightsError
from srcli.training.config import DistillationConfig
from srcli.training.teacher import find_teacher
from srcli.weights import best_scale, by_quality, known, manifest, needs_trust
from srcli.weights.hashes import fault_of, hashes_of
from srcli.weights.import_weights import import_weights
from srcli.weights.load import read_weights
from srcli.weights.local_files import (
    file_of,
    fingerprint_of,
    record_file,
    record_of,
    remember,
    remove_weights,
)
from srcli.weights.manifest_file import COMMUNITY
from tests.weights.published_server import (
    BLOB,
    PUBLISHED,
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
    published,
)


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


@pytest.mark.parametrize("name", [SMALL, BLOB])
def test_a_published_teacher_goes_by_the_sha256_of_its_checkpoint(
    served: PublishedServer, cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = offered(served, name)
    fetch(entry)
    monkeypatch.setattr("srcli.training.teacher.weights_named", lambda _: (entry,))
    teacher = find_teacher(DistillationConfig(entry.model), entry.scale)
    assert teacher.sha256 == hashlib.sha256(fabricated(name)).hexdigest()


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


def test_a_file_converted_for_spandrel_is_fetched_again(
    served: PublishedServer, cache: Path
) -> None:
    """An older srcli had no SwinIR-light of its own."""
    entry = offered(served, "swinir-light_x2")
    path = fetch(entry)
    old = save({"conv_first.weight": torch.zeros(3)}, {"model": COMMUNITY, "scale": "2"})
    record = record_of(entry)
    assert record is not None
    sha256 = hashlib.sha256(old).hexdigest()
    remember(entry, replace(record, converted_sha256=sha256, converted_size=len(old)))
    path.write_bytes(old)
    with pytest.raises(WeightsError, match=r"converted for spandrel.*download swinir-light_x2"):
        read_weights(entry)
    fetch(entry)
    assert "head.weight" in read_weights(entry)


def test_an_import_of_the_published_file_is_known_as_such(
    served: PublishedServer, cache: Path, shared: Path
) -> None:
    entry = import_weights(shared / "weights" / "published" / published(SMALL).file)
    assert entry.name == SMALL
    assert (entry.licence, entry.psnr_y) == ("Apache-2.0", published(SMALL).psnr_y)
    assert best_scale("smfanet", 4) == entry
    assert not served.requests


def test_an_import_may_take_the_place_of_what_is_only_offered(
    tmp_path: Path, served: PublishedServer, cache: Path
) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(fabricated(SMALL))
    assert import_weights(path).licence == "not stated"  # random numbers: not the published file
    assert best_scale("smfanet", 4).folder is not None
    with pytest.raises(UsageError, match="smfanet_x4 is there already"):
        import_weights(path)
    with pytest.raises(UsageError, match="recommended is reserved by srcli weights download"):
        import_weights(path, name="recommended")


def test_a_download_that_is_here_is_not_replaced_by_an_import(
    tmp_path: Path, served: PublishedServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(fabricated(SMALL))
    fetch(offered(served, SMALL))
    with pytest.raises(UsageError, match="smfanet_x4 is there already; hint: give yours a --name"):
        import_weights(path)


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
