"""Masks of what has halted before a layer, from the scores so far, and traces of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from srcli.models.layers.windows import WindowGrid
from srcli.models.spec import Halting, LayerTrace

__all__ = ["MASKS", "LayerRecord", "halted_by", "layer_traces", "masks_in_a_run"]

MASKS = ("both", "local", "none")


def halted_by(score: Tensor, threshold: float, masks: str) -> tuple[Tensor, Tensor]:
    """Windows (n,) and tokens (n, t) that have halted, bool (AdaFormer, Eqs. 19 and 22).

    Args:
        score: (n, t), confidence so far.
        threshold: Score at which a window or token halts.
        masks: "both"; "local": only windows halt, in the local branch; "global": only tokens, in
            the global branch; "none": nothing does.
    """
    local, shared = score.mean(1) >= threshold, score >= threshold
    return (
        local if masks in ("both", "local") else torch.zeros_like(local),
        shared if masks in ("both", "global") else torch.zeros_like(shared),
    )


def masks_in_a_run(masks: str, halting: Halting) -> str:
    """Branches that halt in a run, as in `halted_by`, of those that a network lets halt."""
    local, shared = halting.local and masks != "none", halting.shared and masks == "both"
    if local:
        return "both" if shared else "local"
    return "global" if shared else "none"


@dataclass(frozen=True)
class LayerRecord:
    """Masks of what halted before a layer, and the confidence after it, in window order.

    Args:
        confidence: (n, t); None where no one needed it.
        local_halted: (n,) bool.
        global_halted: (n, t) bool.
    """

    confidence: Tensor | None
    local_halted: Tensor
    global_halted: Tensor


def layer_traces(grid: WindowGrid, records: Sequence[LayerRecord]) -> tuple[LayerTrace, ...]:
    """Bring what layers did from window order to image order, all of them at once."""
    if not records:
        return ()
    estimated = [one.confidence for one in records if one.confidence is not None]
    confidence = iter(_in_image_order(grid, estimated))
    masks = _in_image_order(grid, [one.global_halted for one in records])
    return tuple(
        LayerTrace(
            confidence_map=None if one.confidence is None else next(confidence),
            local_mask=one.local_halted.view(grid.batch, 1, grid.rows, grid.columns),
            global_mask=mask,
        )
        for one, mask in zip(records, masks, strict=True)
    )


def _in_image_order(grid: WindowGrid, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Maps (b, 1, h, w) of values (n, t) of windows."""
    if not values:
        return ()
    together = replace(grid, batch=grid.batch * len(values))
    maps = together.merge(torch.cat(tuple(values))[..., None])
    return cast("tuple[Tensor, ...]", maps.split(grid.batch))
