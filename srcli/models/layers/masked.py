"""All layers computed everywhere and masked: slow and plain, what `sparse.py` is compared with."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from srcli.models.layers.confidence import ConfidenceEstimator
from srcli.models.layers.halting_masks import LayerRecord, layer_traces
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.windows import WindowGrid
from srcli.models.spec import LayerTrace

__all__ = ["masked_layers"]


def masked_layers(
    blocks: Iterable[TSAB],
    estimator_after: Callable[[int], ConfidenceEstimator],
    tokens: Tensor,
    place: tuple[WindowGrid, int],
    exits: Callable[[int, Tensor], tuple[Tensor, Tensor]],
    short: Tensor | None = None,
) -> tuple[Tensor, tuple[LayerTrace, ...]]:
    """Compute all TSABs over tokens (n, t, c) everywhere, and mask.

    Args:
        blocks: They, in their order.
        estimator_after: The confidence estimator that follows a layer, counted from 1.
        tokens: Of the whole extended image.
        place: Its windows, and the side of the global branch's region in windows.
        exits: Takes a layer's number, 1 for the second, and the scores (n, t); gives the
            windows (n,) and tokens (n, t) that have halted before it, bool.
        short: (n,) bool, windows that sit out all layers; None: none do.
    """
    grid, side = place
    regions = grid.regions(side, tokens.device)
    score = tokens.new_zeros(tokens.shape[:2], dtype=torch.float32)
    records: list[LayerRecord] = []
    for number, block in enumerate(blocks):
        # Nothing halts before there is a confidence, not even where ε_h = 1 asks for none.
        global_halted = torch.zeros_like(score, dtype=torch.bool)
        local_halted = global_halted[:, 0]
        if number:
            local_halted, global_halted = exits(number, score)
        if short is not None:
            local_halted, global_halted = local_halted | short, global_halted | short[:, None]
        tokens = block.reference(
            tokens, local_halted, global_halted, regions.of_window, regions.count
        )
        confidence = grid.split(estimator_after(number + 1)(grid.merge(tokens))).squeeze(2)
        score = score + confidence  # Eq. 18
        records.append(LayerRecord(confidence, local_halted, global_halted))
    return tokens, layer_traces(grid, records)
