"""Weights of the community's networks where spandrel is not installed: one line says how."""

from pathlib import Path

import pytest
import torch

from srcli.errors import WeightsError
from srcli.extras import spandrel_is_here
from srcli.transfer.policy import Policy
from srcli.weights import best_scale, require_extra
from srcli.weights.import_weights import import_weights
from srcli.weights.manifest import manifest
from srcli.weights.manifest_file import COMMUNITY
from srcli.weights.outside import as_known
from tests.weights.states import published_swinir

pytestmark = pytest.mark.skipif(spandrel_is_here(), reason="spandrel is here: tests/community")

HOW = r"hint: pip install 'srcli\[community\]' adds spandrel"


def test_every_name_of_the_manifest_says_what_it_needs() -> None:
    entries = [entry for entry in manifest() if entry.model == COMMUNITY]
    assert len(entries) > 15
    for entry in entries:
        with pytest.raises(WeightsError, match=f"{entry.title} .*{entry.architecture}.*{HOW}"):
            require_extra(entry)


def test_well_known_names_are_all_there() -> None:
    for name, scale in (
        ("realesrgan-x4plus", 4), ("realesrgan-x2plus", 2), ("realesrgan-x4plus-anime-6b", 4),
        ("realesr-general-x4v3", 4), ("realesr-general-wdn-x4v3", 4), ("realesr-animevideov3", 4),
        ("bsrgan", 4), ("span", 2), ("span", 4), ("swinir-light", 2), ("swinir-light", 3),
        ("swinir-light", 4), ("swinir-m", 4), ("4xNomosWebPhoto_RealPLKSR", 4), ("1x-dejpg", 1),
        ("dctlsa", 4),
    ):  # fmt: skip
        assert best_scale(name, scale).scale == scale


def test_file_of_an_unknown_network_says_what_may_know_it(tmp_path: Path, cache: Path) -> None:
    torch.save({"model.0.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "a.pth")
    for bring in (import_weights, lambda path: as_known(str(path), Policy())):
        with pytest.raises(WeightsError, match=HOW):
            bring(tmp_path / "a.pth")


def test_another_size_of_a_network_says_what_may_know_it(tmp_path: Path, cache: Path) -> None:
    """SwinIR-M has the names of SwinIR-light, and three times its width."""
    wide = {
        name: torch.zeros([180 if side == 60 else side for side in value.shape])
        for name, value in published_swinir(4).items()
    }
    torch.save({"params": wide}, tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=rf"does not fit swinir-light x4, the closest: .*{HOW}"):
        import_weights(tmp_path / "m.pth")
