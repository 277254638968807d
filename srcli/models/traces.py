"""Rules by which networks compute less, and traces of what they left out."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["EXACT", "Halting", "LayerTrace", "PureTrace"]


@dataclass(frozen=True)
class Halting:
    """When tokens stop being computed (AdaFormer, Eqs. 19 and 22).

    Args:
        eps: ε_h in [0, 1]: a token halts once its accumulated confidence reaches 1 - eps, so a
            larger value halts more. None: nothing halts.
        observe: Compute the confidence maps also where halting does not need them (with
            `eps=None`, and after the last layer): for images and for training.
        skip_pure: Exempt pure pixels from what the network can spare them (Pure-Pass).
        skip_flat: Copy areas of one colour where something halts, if the network can be computed
            in parts (`inference/flat_blocks.py`).
        local: Windows halt in the local branch.
        shared: Tokens halt in the global branch.
        smooth: Windows in and around which no channel of the LR image varies by more than this, in
            [0, 1], are computed a short way, if the weights have one (`layers/short_way.py`). 0:
            none are.
    """

    eps: float | None
    observe: bool = False
    skip_pure: bool = False
    skip_flat: bool = True
    local: bool = True
    shared: bool = True
    smooth: float = 0.0

    @property
    def threshold(self) -> float:
        """The halting score at which a token or window stops."""
        return float("inf") if self.eps is None else 1.0 - self.eps


EXACT = Halting(eps=None)


@dataclass(frozen=True)
class LayerTrace:
    """Windows and pixels that halted before one layer, and the confidence after it.

    Sizes are those of the LR image extended to whole windows of S px (AdaFormer: S = 8).

    Args:
        confidence_map: (b, 1, h, w) in [0, 1], estimated from the layer's output. None where no
            one needed it. Windows in which all has halted keep the last value estimated for them.
        local_mask: (b, 1, h / S, w / S) bool, True = this window sat out the local branch.
        global_mask: (b, 1, h, w) bool, True = this token sat out the global branch.
    """

    confidence_map: Tensor | None
    local_mask: Tensor
    global_mask: Tensor

    @property
    def live_windows(self) -> float:
        """The share of windows that the local branch computed, in [0, 1]."""
        return 1.0 - self.local_mask.float().mean().item()

    @property
    def live_tokens(self) -> float:
        """The share of tokens that took part in the global branch, in [0, 1]."""
        return 1.0 - self.global_mask.float().mean().item()


@dataclass(frozen=True)
class PureTrace:
    """Exempt pixels, and the colour classes that made them so (Pure-Pass).

    Sizes are those of the LR image extended to whole windows.

    Args:
        mask: (b, 1, h, w) bool, True = pure: exempt from the category attention in every layer.
        classes: (b, 1, h, w) int64, the number of the nearest colour centre.
    """

    mask: Tensor
    classes: Tensor
