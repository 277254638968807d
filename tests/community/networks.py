"""Networks small enough for tests, and what spandrel itself makes of an image."""

import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

SPANDREL_IS_HERE = find_spec("spandrel") is not None


def _arch(name: str) -> Any:
    from importlib import import_module

    return import_module(f"spandrel.architectures.{name}")


def _compact(scale: int, channels: int = 3) -> Any:
    return _arch("Compact").Compact(
        num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale
    )


def _swinir() -> Any:
    return _arch("SwinIR").SwinIR(
        img_size=64, window_size=8, depths=[2], num_heads=[2], embed_dim=8, mlp_ratio=2,
        upscale=2, upsampler="pixelshuffledirect",
    )  # fmt: skip


def _swinir_light() -> Any:
    return _arch("SwinIR").SwinIR(
        img_size=64, window_size=8, depths=[6] * 4, num_heads=[6] * 4, embed_dim=60, mlp_ratio=2,
        upscale=4, upsampler="pixelshuffledirect",
    )  # fmt: skip


NETWORKS: dict[str, tuple[str, int, Callable[[], Any]]] = {
    "esrgan": ("ESRGAN", 4, lambda: _arch("ESRGAN").ESRGAN(num_filters=8, num_blocks=1)),
    "esrgan-unshuffle": (
        "ESRGAN", 2,
        lambda: _arch("ESRGAN").ESRGAN(
            in_nc=12, num_filters=8, num_blocks=1, shuffle_factor=2, scale=4
        ),
    ),
    "compact": ("RealESRGAN Compact", 4, lambda: _compact(4)),
    "compact-x1": ("RealESRGAN Compact", 1, lambda: _compact(1)),
    "compact-x8": ("RealESRGAN Compact", 8, lambda: _compact(8)),
    "compact-gray": ("RealESRGAN Compact", 2, lambda: _compact(2, channels=1)),
    "compact-rgba": ("RealESRGAN Compact", 2, lambda: _compact(2, channels=4)),
    "span": ("SPAN", 2, lambda: _arch("SPAN").SPAN(
            num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2
        )),
    "realplksr": (
        "PLKSR", 4,
        lambda: _arch("PLKSR").RealPLKSR(dim=16, n_blocks=2, upscaling_factor=4, kernel_size=5),
    ),
    "swinir": ("SwinIR", 2, _swinir),
    "swinir-light": ("SwinIR", 4, _swinir_light),  # which srcli has itself
    "safmn": ("SAFMN", 2, lambda: _arch("SAFMN").SAFMN(dim=8, n_blocks=2, upscaling_factor=2)),
}  # fmt: skip
"""By kind: spandrel's name for the architecture, the scale, and how one is built."""


def build(kind: str, seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        network = NETWORKS[kind][2]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.0 if parameter.ndim == 1 else 0.7)
    return network.eval()


def save(path: Path, kind: str, seed: int = 0) -> None:
    torch.save({"params_ema": build(kind, seed).state_dict()}, path)


@cache
def descriptor(kind: str, seed: int = 0) -> Any:
    from spandrel import ModelLoader

    return ModelLoader().load_from_state_dict(build(kind, seed).state_dict())


def reference(kind: str, pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Run spandrel over a whole image (h, w, 3) uint8, in fp32, rounded to 8 bits."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    result = descriptor(kind, seed)(image)
    return (result[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
