"""Ranges of an AdaFormer's residual blocks, by which they are computed in 8-bit integers."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from srcli.models.adaformer import RANGES, AdaFormer
from srcli.models.layers.convolutions import ResidualBlock
from srcli.models.spec import EXACT

__all__ = ["fit_ranges"]


@torch.no_grad()
def fit_ranges(network: AdaFormer, images: Iterable[Tensor]) -> int:
    """Keep how large the values before each convolution of the residual blocks mostly get.

    That is the mean over the images of the largest magnitude in each. Where an image has larger
    values, `Int8Block` computes again in fp32; for a smaller range all others have finer steps.

    Args:
        network: Trained, on the CPU, in fp32. Its other parameters stay as they are.
        images: LR images, (1, 3, h, w) in [0, 1].

    Returns:
        The number of images.
    """
    network.add_part(RANGES)
    watched = list(network.blocks_with_ranges())
    count = 0
    with _watching(watched):
        for lr in images:
            network(lr.contiguous(memory_format=torch.channels_last), EXACT)
            count += 1
    for _, ranges in watched:
        ranges /= max(count, 1)
    return count


@contextmanager
def _watching(blocks: Iterable[tuple[ResidualBlock, Tensor]]) -> Generator[None]:
    """Add to the ranges (2, c) of blocks the largest magnitudes that their convolutions get."""
    hooks = [
        convolution.register_forward_pre_hook(_adding(of_block[number]))
        for block, of_block in blocks
        for number, convolution in enumerate((block.conv1, block.conv2))
    ]
    yield
    for hook in hooks:
        hook.remove()


def _adding(total: Tensor) -> Any:  # noqa: ANN401 PyTorch's type of hooks
    def add(_: nn.Module, given: tuple[Tensor]) -> None:
        total.add_(given[0].abs().amax((0, 2, 3)))

    return add
