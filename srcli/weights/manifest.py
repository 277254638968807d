"""What weights there are: the manifest that is packaged beside the files."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from srcli.errors import UnknownModel, UnknownScale

__all__ = ["WeightsEntry", "best_scale", "box", "manifest"]


@dataclass(frozen=True)
class WeightsEntry:
    """One weights file.

    Args:
        name: File name without suffix.
        model: The network it is for, by its name in the registry.
        scale: The scale it was trained for.
        file: File name in the box.
        size: Bytes.
        sha256: Of the whole file, hexadecimal.
        licence: SPDX expression.
        training_data: What it was trained on, with attribution.
        origin: How the file was made.
        psnr_y: Measured PSNR-Y in dB by data set, in effort `exact`.
        psnr_protocol: How those figures were measured.
    """

    name: str
    model: str
    scale: int
    file: str
    size: int
    sha256: str
    licence: str
    training_data: str
    origin: str
    psnr_protocol: str
    psnr_y: Mapping[str, float] = field(default_factory=dict[str, float])


def box() -> Path:
    """The folder of the shipped weights: inside the package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "box"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "weights"


@cache
def manifest() -> tuple[WeightsEntry, ...]:
    """All weights that srcli knows of."""
    with (box() / "manifest.toml").open("rb") as file:
        return tuple(WeightsEntry(**entry) for entry in tomllib.load(file)["weights"])


def best_scale(model: str, scale: float) -> WeightsEntry:
    """The weights of `model` that serve `scale` best: the smallest scale that reaches it.

    A larger result is reduced afterwards, never enlarged.

    Raises:
        UnknownModel: There are no weights for that network.
        UnknownScale: `scale` is not above 1, or beyond every scale there are weights for.
    """
    entries = sorted((e for e in manifest() if e.model == model), key=lambda e: e.scale)
    if not entries:
        have = ", ".join(sorted({e.model for e in manifest()}))
        raise UnknownModel(f"no weights for a model named {model!r} (have {have})")
    largest = entries[-1].scale
    if not 1 < scale <= largest:
        raise UnknownScale(
            f"scale {scale:g} is out of range: {model} goes from above 1 to {largest}"
        )
    return next(e for e in entries if e.scale >= scale)
