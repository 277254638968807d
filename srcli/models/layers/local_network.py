"""Networks of convolutions alone: they see so far and no farther."""

from collections.abc import Iterable, Iterator

from torch import Tensor

from srcli.models.spec import EXACT, AttendedBand, BandedNetwork, Halting, SROutput

__all__ = ["LocalNetwork"]


class LocalNetwork(BandedNetwork):
    """A network without layers between encoder and decoder, so that tiles give the whole image."""

    band = 1
    attends_beyond = 0, 0

    def extend(self, lr: Tensor) -> Tensor:
        """The image as it is: every size can be computed."""
        return lr

    def attend(
        self, bands: Iterable[Tensor], halting: Halting, chunk: int | None = None
    ) -> Iterator[AttendedBand]:
        """Pass the bands on; `halting` and `chunk` have no effect."""
        return (AttendedBand(band, ()) for band in bands)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w); `halting` has no effect: nothing halts here."""
        return SROutput(self.decode(self.encode(lr), lr))
