"""PP-ATD-light: ATD-light whose pure pixels skip the category attention.

Wu, Liu, Tang, Wu: "Pure-Pass: Fine-Grained, Adaptive Masking for Dynamic Token-Mixing Routing in
Lightweight Image Super-Resolution", arXiv 2510.01997.

The mask is made from the LR pixels alone, before the first layer, and has no parameters: the
weights are ATD-light's. Pure pixels are neither sorted nor grouped; their own value goes through
the attention's output projection instead. The paper leaves K, window, shifts and this compensation
open: `docs/experiments.md` has the share of pure pixels, PSNR and time over all four, with
weights of little training.
"""

from dataclasses import dataclass

from torch import Tensor

from srcli.models import atd
from srcli.models.atd import ATDConfig, ATDLight
from srcli.models.layers.pure_pixels import colour_centres, nearest_centre, pure_pixels
from srcli.models.layers.windows import extend_by_mirroring
from srcli.models.spec import EXACT, Halting, ModelSpec, PureTrace, SROutput

__all__ = ["SPEC", "PPATDLight", "PureConfig"]


@dataclass(frozen=True)
class PureConfig:
    """When a pixel is pure.

    Args:
        colours: Colour centres K.
        window: Side of a window of the scan, LR px.
        shifts: The scans that are united, by their shift (down, right), LR px.
    """

    colours: int = 16
    window: int = 4
    shifts: tuple[tuple[int, int], ...] = ((0, 0), (2, 2))


class PPATDLight(ATDLight):
    """ATD-light with Pure-Pass; without `Halting.skip_pure` it is ATD-light itself."""

    def __init__(self, config: ATDConfig, pure: PureConfig) -> None:
        super().__init__(config)
        self.pure = pure

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), pure pixels skipping the category attention if asked."""
        wide = extend_by_mirroring(lr, self.config.window)
        trace = self.find_pure(wide) if halting.skip_pure else None
        exempt = None if trace is None else trace.mask[:, 0]
        return SROutput(self.crop(self.upscale(wide, exempt), lr), pure=trace)

    def find_pure(self, image: Tensor) -> PureTrace:
        """The pure pixels of (b, 3, h, w), RGB in [0, 1]."""
        classes = nearest_centre(image, colour_centres(self.pure.colours))
        mask = pure_pixels(classes, self.pure.window, self.pure.shifts)
        return PureTrace(mask[:, None], classes[:, None])


def _build(scale: int) -> PPATDLight:
    return PPATDLight(ATDConfig(scale=scale), PureConfig())


SPEC = ModelSpec(
    name="pp-atd-light",
    paper="Pure-Pass (arXiv 2510.01997)",
    scales=atd.SPEC.scales,
    alignment=atd.SPEC.alignment,
    overlap=atd.SPEC.overlap,
    memory=atd.SPEC.memory,
    efforts={"exact": EXACT, "balanced": Halting(eps=None, skip_pure=True)},
    build=_build,
    from_authors=atd.from_authors,
)
