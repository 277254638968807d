"""PSNR on the field's benchmark sets while training goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from srcli.data.pictures import read_rgb
from srcli.errors import UsageError
from srcli.metrics.psnr import psnr_y
from srcli.models.spec import Halting, SRNetwork

__all__ = ["ValidationSet", "find_validation_set", "measure"]


@dataclass(frozen=True)
class ValidationSet:
    """Pairs of pictures: (hr, lr) files of the same name."""

    name: str
    pairs: tuple[tuple[Path, Path], ...]


def find_validation_set(folder: Path, scale: int) -> ValidationSet:
    """Pair the files of folder/x{scale}/HR with those of folder/x{scale}/LR.

    Raises:
        UsageError: A folder or an LR picture is missing, or there is none at all.
    """
    hr, lr = folder / f"x{scale}" / "HR", folder / f"x{scale}" / "LR"
    for needed in (hr, lr):
        if not needed.is_dir():
            raise UsageError(f"validation set {folder.name} has no folder {needed}")
    files = sorted(p for p in hr.iterdir() if p.is_file() and not p.name.startswith("."))
    for file in files:
        if not (lr / file.name).is_file():
            raise UsageError(f"validation set {folder.name} has no LR picture {lr / file.name}")
    if not files:
        raise UsageError(f"validation set {folder.name} has no pictures in {hr}")
    return ValidationSet(folder.name, tuple((file, lr / file.name) for file in files))


@torch.inference_mode()
def measure(
    network: SRNetwork, sets: Sequence[ValidationSet], halting: Halting, device: torch.device
) -> dict[str, float]:
    """Mean PSNR-Y in dB of each set, whole pictures, 8-bit output, `scale` px cropped."""
    return {
        one.name: float(
            np.mean(
                [
                    psnr_y(
                        _upscale(network, read_rgb(lr), halting, device),
                        read_rgb(hr),
                        crop=network.scale,
                    )
                    for hr, lr in one.pairs
                ]
            )
        )
        for one in sets
    }


def _upscale(
    network: SRNetwork, lr: NDArray[np.uint8], halting: Halting, device: torch.device
) -> NDArray[np.uint8]:
    """Upscale (h, w, 3) to (s·h, s·w, 3), 8-bit."""
    image = torch.as_tensor(lr, device=device).permute(2, 0, 1)[None].float() / 255.0
    sr = network(image, halting).image[0].clamp(0.0, 1.0) * 255.0
    return sr.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
