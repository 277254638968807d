"""The manifest tells the truth, and nothing else is loaded."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from srcli.errors import UnknownModel, UnknownScale, WeightsError
from srcli.inference.network import LoadedNetwork
from srcli.models import model_names, model_spec
from srcli.weights import Source, WeightsEntry, best_scale, box, manifest
from srcli.weights.load import read_weights

SHIPPED = [entry for entry in manifest() if entry.source is Source.BOX]


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_manifest_tells_the_truth(entry: WeightsEntry) -> None:
    content = (box() / entry.file).read_bytes()
    assert entry.size == len(content) <= 4_000_000
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    assert entry.model in model_names()
    assert entry.scale in model_spec(entry.model).scales
    assert entry.licence
    assert entry.training_data
    measured = {"Set5", "Set14"} | ({"B100"} if entry.scale == 4 else set())  # which is x4 alone
    assert set(entry.psnr_y) >= measured
    network = LoadedNetwork(entry, torch.device("cpu"), torch.float32)
    assert network.scale == entry.scale


def test_names_and_files_are_unique() -> None:
    assert len({e.name for e in manifest()}) == len({e.file for e in manifest()}) == len(manifest())


def test_the_smallest_scale_that_reaches() -> None:
    scales = sorted(e.scale for e in manifest() if e.model == "adaformer")
    for scale in scales:
        assert best_scale("adaformer", scale).scale == scale
        assert best_scale("adaformer", scale - 0.5).scale == scale
    with pytest.raises(UnknownScale, match="enlarges by more than 1, up to"):
        best_scale("adaformer", scales[-1] + 0.1)
    with pytest.raises(UnknownModel, match="have adaformer"):
        best_scale("nothing", 4)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("srcli.weights.local_files.box", lambda: tmp_path)
    return tmp_path


def test_an_altered_file_is_refused(elsewhere: Path) -> None:
    entry = best_scale("adaformer", 4)
    content = bytearray((box() / entry.file).read_bytes())
    content[-1] ^= 1
    (elsewhere / entry.file).write_bytes(content)
    with pytest.raises(WeightsError, match=r"sha256 is .*the manifest says .*reinstall"):
        read_weights(entry)


def test_a_missing_file_is_refused(elsewhere: Path) -> None:
    with pytest.raises(WeightsError, match="No such file or directory; reinstall"):
        read_weights(best_scale("adaformer", 4))


def with_content(entry: WeightsEntry, path: Path) -> WeightsEntry:
    content = path.read_bytes()
    return replace(
        entry, file=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def test_weights_of_another_network_are_refused(elsewhere: Path) -> None:
    entry = best_scale("adaformer", 4)
    save_file({"head.weight": torch.zeros(3)}, elsewhere / "other.safetensors")
    with pytest.raises(WeightsError, match="does not fit adaformer x4"):
        LoadedNetwork(
            with_content(entry, elsewhere / "other.safetensors"), torch.device("cpu"), torch.float32
        )
    (elsewhere / "junk.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_weights(with_content(entry, elsewhere / "junk.safetensors"))
