"""AdaFormer-S: AdaFormer with about a quarter of the compute, for laptops and video.

Three quarters of the width, two residual blocks on either side instead of eight, three attention
blocks instead of six; it halts in the same way. Not in the paper.
"""

from dataclasses import replace

from srcli.defaults import SMOOTH
from srcli.models import adaformer
from srcli.models.spec import EXACT, Halting

__all__ = ["SPEC", "configuration"]


def configuration(scale: int) -> adaformer.AdaFormerConfig:
    """The network's configuration at a scale."""
    return adaformer.AdaFormerConfig(
        scale=scale, channels=48, dim=48, residual_blocks=2, layers=3, confidence_channels=24
    )


def _build(scale: int) -> adaformer.AdaFormer:
    return adaformer.AdaFormer(configuration(scale))


SPEC = replace(
    adaformer.SPEC,
    name="adaformer-s",
    paper="after AdaFormer (AAAI 2024)",
    memory=replace(
        adaformer.SPEC.memory, forward=2450, tile=1200, held=480, attending=1920, bands_held=5
    ),
    efforts={
        "exact": EXACT,
        "balanced": Halting(eps=0.05, smooth=SMOOTH),
        "fast": Halting(eps=0.5, smooth=SMOOTH),
    },
    build=_build,
)
