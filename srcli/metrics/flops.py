"""Floating-point operations, counted by PyTorch while a network really runs."""

from collections.abc import Callable
from math import prod
from typing import Any, TypeVar, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_flops"]

_Result = TypeVar("_Result")


def count_flops(run: Callable[[], _Result]) -> tuple[int, _Result]:
    """Run something once, and count the operations of its convolutions, products and attentions.

    A multiply-add counts twice, as PyTorch counts it; element-wise work is not counted. Whatever
    is skipped is not counted either: these are the operations executed.
    """
    # PyTorch's counter knows neither the fused CPU kernel nor convolutions of 8-bit integers.
    extra: dict[Any, Callable[..., int]] = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention
    }
    if integers := getattr(cast("Any", torch.ops).onednn, "qconv2d_pointwise", None):  # x86 alone
        extra[integers] = _integer_convolution
    with FlopCounterMode(display=False, custom_mapping=extra) as counter:
        result = run()
    return counter.get_total_flops(), result


def _attention(
    query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: object, **__: object
) -> int:
    """Of q (b, h, t, d), k (b, h, m, d) and v (b, h, m, e): two products."""
    b, h, t, d = query
    return 2 * prod((b, h, t, key[2])) * (d + value[3])


def _integer_convolution(
    _pixels: tuple[int, ...],
    _scale: object,
    _zero: object,
    weight: tuple[int, ...],
    *_: object,
    out_shape: tuple[int, ...],
    **__: object,
) -> int:
    """Of px (b, c, h, w) and weights (o, c, k, k)."""
    return 2 * prod(out_shape) * prod(weight[1:])
