"""The configuration of an AdaFormer."""

from dataclasses import dataclass

from srcli.errors import UsageError
from srcli.models.layers.halting_masks import MASKS

__all__ = ["AdaFormerConfig"]

_CHOICES = {"halted": ("freeze", "pass"), "masks": MASKS}


@dataclass(frozen=True)
class AdaFormerConfig:
    """The paper's configuration, and what it leaves open.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels C of encoder and decoder.
        dim: Token width D.
        residual_blocks: Residual blocks in the encoder, and again in the decoder.
        layers: TSABs L.
        heads: Attention heads in both branches.
        window: Side S of a window, LR px.
        prototypes: Prototypes M of the global branch; 0: no such branch (Tab. 3, case 1).
        mlp_ratio: Width of the MLP's middle, in D.
        confidence_channels: Width of the confidence estimator's middle.
        region: Side of the global branch's region, in windows; 0 is the whole image.
        halted: What becomes of a halted token: "freeze" leaves it as it is; "pass" puts its
            normalised value in place of the attention, and runs the MLP everywhere.
        projected: A linear layer follows the attention.
        shared_query: Prototypes ask by the projection that makes the queries of tokens.
        masks: What halts: "both", "local" for windows in the local branch (Tab. 3, case 3), "none".
        shared_estimator: All layers share a confidence estimator; else one each (Tab. 4).

    Raises:
        UsageError: There is no such rule for halted tokens, or no such masks.
    """

    scale: int
    channels: int = 64
    dim: int = 64
    residual_blocks: int = 8
    layers: int = 6
    heads: int = 4
    window: int = 8
    prototypes: int = 16
    mlp_ratio: int = 2
    confidence_channels: int = 32
    region: int = 4
    halted: str = "freeze"
    projected: bool = True
    shared_query: bool = False
    masks: str = "both"
    shared_estimator: bool = True

    def __post_init__(self) -> None:
        for name, have in _CHOICES.items():
            if (value := getattr(self, name)) not in have:
                raise UsageError(f"{name} is {value!r}: have {', '.join(have)}")
