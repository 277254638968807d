"""CAMixer-ATD-light: what Pure-Pass is held against, a learned mask of whole windows.

After CAMixerSR (Wang et al., CVPR 2024), put into ATD-light as the Pure-Pass paper does: in every
layer a small predictor scores the windows; the share of them that scores highest takes the
category attention, the others a depthwise convolution of their values. Such a mask is coarser than
that of pure pixels, cannot be shifted, has parameters, and spares the same share of every image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srcli.errors import UsageError
from srcli.models import atd
from srcli.models.atd import ATDConfig, ATDLayer, ATDLight
from srcli.models.layers.category import PureSplit
from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.windows import WindowGrid, as_map, as_tokens
from srcli.models.spec import EXACT, ModelSpec

__all__ = ["SPEC", "CAMixerATDConfig", "CAMixerATDLight", "CAMixerLayer"]


@dataclass(frozen=True)
class CAMixerATDConfig(ATDConfig):
    """ATD-light's, and how much is spared the category attention, and what it gets instead.

    Args:
        ratio: Share of the windows that takes the attention, in (0, 1].
        predictor: Width of the predictor's middle.
        simple: Side of the convolution for the other windows, LR px, odd.

    Raises:
        UsageError: The share or the side is another.
    """

    ratio: float = 0.5
    predictor: int = 12
    simple: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise UsageError(
                f"network.ratio is {self.ratio}: it must be above 0, and 1 at the most"
            )
        if self.simple % 2 == 0:
            raise UsageError(f"network.simple is {self.simple}: it must be odd")


class CAMixerLayer(ATDLayer):
    """A layer whose predictor chooses the windows for the category attention.

    Args:
        config: The network.
        shift: By how much the window attention shifts, LR px; the mask never shifts.
        refines: Whether the dictionary is needed after this layer.
    """

    def __init__(self, config: CAMixerATDConfig, *, shift: int, refines: bool) -> None:
        super().__init__(config, shift=shift, refines=refines)
        dim, hidden, kernel = config.dim, config.predictor, config.simple
        self.side, self.ratio = config.window, config.ratio
        self.score = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, 1))
        self.simple = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)

    def across(
        self, qkv: LazyQKV, similarity: Tensor, size: tuple[int, int], exempt: PureSplit | None
    ) -> Tensor:
        """Attention for the chosen windows, a convolution for the others; (b, n, c)."""
        assert exempt is None, "the predictor alone chooses"
        values = qkv.values()
        score = torch.sigmoid(self.score(values))  # (b, n, 1)
        chosen, score = self.choose(as_map(score, *size))
        simple = as_tokens(self.simple(as_map(values, *size)))
        mixed = self.category.mix(qkv, similarity, PureSplit.where(~chosen.flatten(1)), simple)
        if torch.is_grad_enabled():
            # Worth 1, so that the result is what inference gives; its gradient tells the
            # predictor which way each window would rather go.
            pull = torch.where(chosen, score, -score)
            mixed = mixed * (1 + pull - pull.detach()).flatten(1)[..., None]
        return self.category.proj(mixed)

    def choose(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """The windows with the highest mean of the scores (b, 1, h, w).

        Returns:
            (b, h, w) bool, True in the chosen windows, and (b, h, w), each window's mean score.
        """
        grid = WindowGrid.of(score, self.side)
        mean = grid.split(score).mean(1).view(grid.batch, -1)  # (b, windows)
        best = mean.topk(math.ceil(self.ratio * mean.shape[1]), dim=1).indices
        picked = torch.zeros_like(mean, dtype=torch.bool).scatter(1, best, value=True)
        spread = (grid.batch * mean.shape[1], self.side**2, 1)
        chosen = grid.merge(picked.reshape(-1, 1, 1).expand(spread))
        return chosen[:, 0], grid.merge(mean.reshape(-1, 1, 1).expand(spread))[:, 0]


class CAMixerATDLight(ATDLight):
    """ATD-light of such layers."""

    def __init__(self, config: CAMixerATDConfig) -> None:
        super().__init__(config, _layer)


def _layer(config: ATDConfig, *, shift: int, refines: bool) -> ATDLayer:
    assert isinstance(config, CAMixerATDConfig), "of a CAMixerATDLight"
    return CAMixerLayer(config, shift=shift, refines=refines)


def _build(scale: int) -> CAMixerATDLight:
    return CAMixerATDLight(CAMixerATDConfig(scale=scale))


SPEC = ModelSpec(
    name="camixer-atd-light",
    paper="CAMixerSR (CVPR 2024) in ATD-light, after Pure-Pass (arXiv 2510.01997)",
    scales=atd.SPEC.scales,
    alignment=atd.SPEC.alignment,
    overlap=atd.SPEC.overlap,
    memory=atd.SPEC.memory,
    efforts={"exact": EXACT},
    build=_build,
)
