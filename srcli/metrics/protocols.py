"""Protocols of comparison with the original, as the literature uses them.

A figure without its protocol is not comparable: RGB or Y, cropped or not, moves PSNR by decibels.
All take 8-bit images, and compute in float64.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srcli.errors import UsageError
from srcli.metrics.psnr import luma, psnr
from srcli.metrics.ssim import WINDOW, ssim

__all__ = ["PROTOCOLS", "Protocol", "Quality", "protocol_named"]


@dataclass(frozen=True)
class Quality:
    """PSNR in dB (infinite for equal images) and SSIM in [-1, 1]."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class Protocol:
    """One way to compare.

    Args:
        name: By which it is asked for.
        describes: What it does, and whose it is.
        on_luma: Compare the Y of BT.601 studio range instead of R, G and B.
        crops: Leave out `scale` HR px on each side.
    """

    name: str
    describes: str
    on_luma: bool
    crops: bool

    def smallest(self, scale: int) -> int:
        """The shorter side, HR px, that an image needs to be compared."""
        return WINDOW + 2 * self._border(scale)

    def compare(self, sr: NDArray[np.uint8], hr: NDArray[np.uint8], scale: int) -> Quality:
        """Compare (h, w, 3) uint8 with (h, w, 3) uint8.

        Raises:
            ValueError: The images differ in size, or too little of them is left.
        """
        if sr.shape != hr.shape:
            raise ValueError(
                f"SR is {sr.shape[1]}x{sr.shape[0]} px and HR {hr.shape[1]}x{hr.shape[0]}: "
                "only equal sizes can be compared"
            )
        border = self._border(scale)
        inner = (slice(border, sr.shape[0] - border), slice(border, sr.shape[1] - border))
        a, b = self._planes(sr[inner]), self._planes(hr[inner])
        similar = [ssim(a[..., c], b[..., c]) for c in range(a.shape[2])]
        return Quality(psnr(a, b), float(np.mean(similar)))

    def _border(self, scale: int) -> int:
        """HR px left out on each side."""
        return scale if self.crops else 0

    def _planes(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The planes to compare, (h, w, 1 or 3) in 0..255."""
        return luma(image)[..., None] if self.on_luma else image.astype(np.float64)


PROTOCOLS: Mapping[str, Protocol] = {
    p.name: p
    for p in (
        Protocol("basicsr-y", "Y, `scale` px cropped: BasicSR's, of most papers", True, True),
        Protocol("rgb", "R, G and B, `scale` px cropped: BasicSR's", False, True),
        Protocol("camixer-rgb", "R, G, B, nothing cropped: CAMixerSR's large images", False, False),
        Protocol(
            "adaformer-y",
            "Y, nothing cropped: our reading of AdaFormer, which says only Y",
            True,
            False,
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol named {name!r} (have {', '.join(PROTOCOLS)})")
    return PROTOCOLS[name]
