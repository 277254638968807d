"""PSNR on the field's benchmark sets while training continues."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from srcli.data.benchmark_set import Pair, pairs_in
from srcli.errors import OutOfMemory, UnreadableImage, UsageError
from srcli.inference.device import as_out_of_memory
from srcli.metrics.psnr import psnr_y
from srcli.models.spec import Halting, SRNetwork

__all__ = ["ValidationSet", "find_validation_sets", "keep_apart", "measure"]


@dataclass(frozen=True)
class ValidationSet:
    """HR and LR images by name."""

    name: str
    pairs: tuple[Pair, ...]


def find_validation_sets(folders: Sequence[str], scale: int) -> list[ValidationSet]:
    """The sets in `folders`, in the layouts that `srcli bench` knows; every image is read.

    Raises:
        UsageError: There is none, an image cannot be read, or is of no use, so that hours of
            training do not end at it; or two would be measured under one name.
    """
    found = [_find_set(Path(folder), scale) for folder in folders]
    for one, folder in zip(found, folders, strict=True):
        if sum(other.name == one.name for other in found) > 1:
            raise UsageError(
                f"validation set {folder}: another folder is called {one.name} too; figures go by "
                "that name, so rename one"
            )
    return found


def _find_set(folder: Path, scale: int) -> ValidationSet:
    where = f"validation set {folder}"
    if not os.path.isdir(folder):  # noqa: PTH112 - which a path too long does not raise for
        raise UsageError(f"{where}: there is no such folder")
    pairs = pairs_in(folder, scale)
    if not pairs:
        raise UsageError(
            f"{where} has no images for x{scale}: wanted x{scale}/HR and x{scale}/LR, "
            f"GTmod12 and LRbicx{scale}, HR and LR_bicubic/X{scale}, or HR alone"
        )
    for pair in pairs:
        try:
            hr, _ = pair.load(scale)
        except UnreadableImage as error:
            raise UsageError(f"{where}: {error}") from error
        if hr is None or min(hr.shape[:2]) <= 2 * scale:
            raise UsageError(
                f"{where}: {pair.name} is too small, {scale} px of each side are not measured"
            )
    return ValidationSet(folder.name, tuple(pairs))


def keep_apart(training: Sequence[Path], validation: Sequence[Path]) -> None:
    """Refuse to train on what measures.

    Raises:
        UsageError: A folder of one lies in a folder of the other.
    """
    for data in training:
        for measured in validation:
            inner, outer = data.resolve(), measured.resolve()
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                raise UsageError(
                    f"training folder {data} and validation set {measured} share images: "
                    "weights must not be trained on what measures them"
                )


@torch.inference_mode()
def measure(
    network: SRNetwork,
    sets: Sequence[ValidationSet],
    halting: Halting,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Mean PSNR-Y in dB of each set, whole images, 8-bit output, `scale` px cropped.

    Only the sets that were measured whole, if `stop` says so before an image.

    Raises:
        OutOfMemory: There is not enough memory for an image.
    """
    means: dict[str, float] = {}
    for one in sets:
        scores: list[float] = []
        for pair in one.pairs:
            if stop():
                return means
            try:
                with as_out_of_memory():
                    scores.append(_psnr_y(network, pair, halting, device))
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(
                    f"{pair.name} of {one.name} takes more memory than is free on {device}; hint: "
                    f"take {one.name} out of validation.sets, or train on another device"
                ) from error
        means[one.name] = float(np.mean(scores))
    return means


def _psnr_y(network: SRNetwork, pair: Pair, halting: Halting, device: torch.device) -> float:
    hr, lr = pair.load(network.scale)
    assert hr is not None, "a set is looked through when it is found"
    return psnr_y(_upscale(network, lr, halting, device), hr, crop=network.scale)


def _upscale(
    network: SRNetwork, lr: NDArray[np.uint8], halting: Halting, device: torch.device
) -> NDArray[np.uint8]:
    """Upscale (h, w, 3) to (s·h, s·w, 3), 8-bit."""
    image = torch.as_tensor(lr, device=device).permute(2, 0, 1)[None].float() / 255.0
    sr = network(image, halting).image[0].clamp(0.0, 1.0) * 255.0
    return sr.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
