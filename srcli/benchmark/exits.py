"""Other rules by which AdaFormer's tokens halt, to hold its own against (AdaFormer, Tabs. 3 and 4).

A rule says before every layer but the first which windows sit out the local branch, and which
tokens the global one. `run_exits` computes only the others, as the network itself does;
`reference` computes everything and masks.
"""

import math
from collections.abc import Callable, Sequence
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.models.adaformer import AdaFormer
from srcli.models.layers.sparse import TokenBand, chunk_of_windows, sparse_layer
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.windows import WindowGrid
from srcli.models.spec import LayerTrace, SROutput

__all__ = [
    "Exits",
    "Rule",
    "Spread",
    "equal_sparsity",
    "learned",
    "ranked",
    "reference",
    "run_exits",
]

_GOLDEN = (math.sqrt(5) - 1) / 2

Exits = tuple[Tensor, Tensor]  # (n,) and (n, t) bool, True = halted
Rule = Callable[[int, Tensor], Exits]
"""Exits before a layer, whose number is 1 for the second, by the scores (n, t)."""


class Spread(StrEnum):
    """Pattern of halted tokens where confidence does not choose them."""

    UNIFORM = "uniform"
    RANDOM = "random"


def learned(threshold: float, *, local: bool = True, shared: bool = True) -> Rule:
    """The network's own rule (AdaFormer, Eqs. 19 and 22), in both branches or in one.

    Args:
        threshold: Score at which a token or window halts.
        local: Windows halt in the local branch.
        shared: Tokens halt in the global branch.
    """

    def rule(layer: int, score: Tensor) -> Exits:
        local_halted, global_halted = score.mean(1) >= threshold, score >= threshold
        nowhere = torch.zeros_like
        return (
            local_halted if local else nowhere(local_halted),
            global_halted if shared else nowhere(global_halted),
        )

    return rule


def equal_sparsity(layers: Sequence[LayerTrace], spread: Spread, seed: int = 0) -> Rule:
    """As many windows and tokens halt before each layer as in another run, but other ones.

    Which ones does not depend on the image. What has halted stays so, as there.

    Args:
        layers: Traces of the other run, of the same image.
        spread: Evenly, by multiples of the golden section, or at random.
        seed: Of the random order.
    """
    halted = _halted_counts(layers)

    def rule(layer: int, score: Tensor) -> Exits:
        windows, tokens = halted[layer]
        generator = torch.Generator().manual_seed(seed)
        local = _order(len(score), spread, generator) < windows
        shared = _order(score.numel(), spread, generator) < tokens
        return local.to(score.device), shared.view_as(score).to(score.device)

    return rule


def ranked(layers: Sequence[LayerTrace], *, shared: bool = True) -> Rule:
    """As many halt before each layer as in another network's run: those of the highest score.

    So networks that halt at scores of different meaning are compared at equal sparsity, each by
    its own order. What has halted stays so. The rule is for one image at a time.

    Args:
        layers: Traces of the other run, of the same image.
        shared: Tokens halt in the global branch, too.
    """
    halted = _halted_counts(layers)
    by_layer: dict[int, Exits] = {}

    def rule(layer: int, score: Tensor) -> Exits:
        windows, tokens = halted[layer]
        local, token = by_layer.get(layer - 1, (None, None))
        by_layer[layer] = (
            _highest(score.mean(1), local, windows),
            _highest(score, token, tokens if shared else 0),
        )
        return by_layer[layer]

    return rule


def _halted_counts(layers: Sequence[LayerTrace]) -> list[tuple[int, int]]:
    """Number of windows and tokens that have halted before each layer."""
    return [(int(one.local_mask.sum()), int(one.global_mask.sum())) for one in layers]


def _highest(score: Tensor, halted: Tensor | None, count: int) -> Tensor:
    """Mask of the `count` highest scores, those that have halted already first."""
    if halted is not None:
        score = score.masked_fill(halted, math.inf)
    mask = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    mask[score.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mask.view_as(score)


def _order(count: int, spread: Spread, generator: torch.Generator) -> Tensor:
    """When each of `count` halts, (count,) int64: the ranks 0, 1, … in some order."""
    if spread is Spread.RANDOM:
        return torch.randperm(count, generator=generator)
    return (torch.arange(count, dtype=torch.float64) * _GOLDEN).frac().argsort().argsort()


class _RuledBand(TokenBand):
    """A whole image as one band, in which a rule says what halts."""

    maskable = False

    def __init__(self, features: Tensor, tokens: Tensor, grid: WindowGrid, region: int,
                 rule: Rule) -> None:  # fmt: skip
        super().__init__(features, tokens, grid, region)
        self._rule = rule

    def choose(self, threshold: float) -> None:
        """See `TokenBand`; the threshold is the rule's own."""
        if self.records:
            self.halt(*self._rule(len(self.records), self.score))


def run_exits(network: AdaFormer, lr: Tensor, rule: Rule, *, estimates: bool) -> SROutput:
    """Upscale (b, 3, h, w) by a rule, computing only what is live.

    Args:
        network: With its weights.
        lr: In [0, 1].
        rule: What halts.
        estimates: The rule looks at scores, so that confidence is computed.
    """
    wide = network.extend(lr)
    features, tokens, grid = _begin(network, wide)
    band = _RuledBand(features, tokens, grid, network.config.region, rule)
    chunk, last = chunk_of_windows(lr.device), len(network.blocks)
    for number, block in enumerate(network.blocks, start=1):
        assert isinstance(block, TSAB)
        needed = network.estimator_after(number) if estimates and number < last else None
        (band,) = sparse_layer(block, needed, [band], math.inf, chunk)
    return _end(network, features, band.tokens, grid, (lr, wide), band.traces)


def reference(network: AdaFormer, lr: Tensor, rule: Rule) -> SROutput:
    """Upscale as `run_exits` does, computing everything and masking: plain and slow."""
    wide = network.extend(lr)
    features, tokens, grid = _begin(network, wide)
    tokens, traces = network.masked_layers(tokens, grid, rule)
    return _end(network, features, tokens, grid, (lr, wide), traces)


def _begin(network: AdaFormer, wide: Tensor) -> tuple[Tensor, Tensor, WindowGrid]:
    """Features of the extended image, their tokens (n, t, c), and how windows lie."""
    features = network.encode(wide)
    grid = WindowGrid.of(features, network.config.window)
    embed = network.embed
    return features, F.linear(grid.split(features), embed.weight.flatten(1), embed.bias), grid


def _end(
    network: AdaFormer,
    features: Tensor,
    tokens: Tensor,
    grid: WindowGrid,
    images: tuple[Tensor, Tensor],
    traces: tuple[LayerTrace, ...],
) -> SROutput:
    """The result, cropped; `images` are the image and the extended one."""
    lr, wide = images
    features = features + network.unembed(grid.merge(tokens))
    height, width = (side * network.scale for side in lr.shape[2:])
    return SROutput(network.decode(features, wide)[..., :height, :width], traces)
