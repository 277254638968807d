"""AdaFormer-S: AdaFormer with about a quarter of the compute, for laptops and video.

Three quarters of the width, three residual blocks on either side instead of eight, four attention
blocks instead of six; it halts in the same way. Not in the paper.
"""

from dataclasses import replace

from srcli.models import adaformer

__all__ = ["SPEC"]


def _build(scale: int) -> adaformer.AdaFormer:
    config = adaformer.AdaFormerConfig(
        scale=scale, channels=48, dim=48, residual_blocks=3, layers=4, confidence_channels=24
    )
    return adaformer.AdaFormer(config)


SPEC = replace(
    adaformer.SPEC,
    name="adaformer-s",
    paper="after AdaFormer (AAAI 2024)",
    bytes_per_pixel=2450,
    build=_build,
)
