"""The frame of SwinIR and ATD: groups of layers over tokens, between convolutions."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.windows import as_map, as_tokens
from srcli.models.spec import SRNetwork

__all__ = ["TokenGroupNetwork", "renamed"]

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


class TokenGroupNetwork(SRNetwork):
    """Convolution, groups of layers, convolution with a long skip, upsampler (SwinIR, Fig. 2).

    Args:
        scale: SR px per LR px to a side.
        dim: Feature channels and token width c.
        groups: Each has `layers`, and maps tokens (b, h·w, c), (h, w), and what `upscale` is given
            to tokens.
    """

    mean: Tensor

    def __init__(self, scale: int, dim: int, groups: Iterable[nn.Module]) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, dim, 3, padding=1)
        self.norm_in = nn.LayerNorm(dim)
        self.groups = nn.ModuleList(groups)
        self.norm_out = nn.LayerNorm(dim)
        self.fuse = nn.Conv2d(dim, dim, 3, padding=1)
        self.tail = nn.Conv2d(dim, 3 * scale**2, 3, padding=1)

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The layers of all groups."""
        layers = [group.get_submodule("layers") for group in self.groups]
        return {layer: 1 for some in layers for layer in some.children()}

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all in `dtype` but `head` and `tail`."""
        for part in (self.norm_in, self.groups, self.norm_out, self.fuse):
            part.to(dtype)

    def upscale_windows(self, wide: Tensor, *given: Any) -> Tensor:  # noqa: ANN401
        """Upscale (b, 3, h, w), sides multiples of the window, to (b, 3, s·h, s·w).

        Args:
            wide: RGB in [0, 1].
            given: Passed on to every group.
        """
        size = (wide.shape[2], wide.shape[3])
        shallow = in_full(self.head, wide - self.mean)
        tokens = self.norm_in(as_tokens(shallow.to(self.fuse.weight.dtype)))
        for group in self.groups:
            tokens = group(tokens, size, *given)
        features = self.fuse(as_map(self.norm_out(tokens), *size)).to(shallow.dtype) + shallow
        return F.pixel_shuffle(in_full(self.tail, features), self.scale) + self.mean

    def crop(self, image: Tensor, lr: Tensor) -> Tensor:
        """Cut off what the extension of `lr` has added to its `image`."""
        return image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale]


_AUTHORS_NAMES = {
    "conv_first.": "head.",
    "patch_embed.norm.": "norm_in.",
    "conv_after_body.": "fuse.",
    "upsample.0.": "tail.",
}


def renamed(name: str, layers: Mapping[str, str]) -> str:
    """Our name for a parameter of the authors' state dict.

    Args:
        name: Theirs.
        layers: What is replaced within groups, in this order.

    >>> renamed("layers.1.conv.bias", {}), renamed("norm.weight", {})
    ('groups.1.conv.bias', 'norm_out.weight')
    """
    if name.startswith("layers."):
        name = "groups." + name.removeprefix("layers.")
    elif name.startswith("norm."):
        name = "norm_out." + name.removeprefix("norm.")
    for theirs, ours in {**_AUTHORS_NAMES, **layers}.items():
        name = name.replace(theirs, ours)
    return name
