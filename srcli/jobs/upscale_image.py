"""One image through the network: the size it shall have, and the network that makes it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from srcli.inference.choose_weights import choose_weights
from srcli.inference.device import device_name
from srcli.inference.upscaler import Upscaled, Upscaler
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize, scale_needed
from srcli.media import DecodedImage, MetadataPolicy, Pixels
from srcli.weights import entry_for_growth
from srcli.weights.local_files import is_here

__all__ = ["BatchOptions", "NetworkRequest", "UpscalersByScale", "load_network", "upscale_to_size"]


class UpscalersByScale:
    """The networks of one model, each loaded when an image first needs its scale.

    Args:
        model: The network.
        make: Makes the upscaler for a scale.
        largest: The scale to load at once, so that a wrong setting is found before any work.
    """

    def __init__(self, model: str, make: Callable[[float], Upscaler], largest: float) -> None:
        self.model = model
        self._make = make
        first = make(largest)
        self._loaded = {first.network.scale: first}
        self._by_growth: dict[int, Upscaler] = {}
        self.first = first

    @property
    def resolved(self) -> str:
        """Device and number format that "auto" was resolved to, for the journal."""
        return f"{self.first.device}, {str(self.first.network.dtype).removeprefix('torch.')}"

    @property
    def device(self) -> str:
        """Device and precision for people."""
        network = self.first.network
        return f"{device_name(network.device)}, {network.precision}"

    def for_scale(self, needed: int) -> Upscaler:
        """The smallest network here whose result need only be reduced.

        Raises:
            UnknownScale: There is none.
        """
        if needed not in self._by_growth:  # the manifests are read once for each scale
            best = entry_for_growth(self.model, needed)
            scale = best.scale if is_here(best) else self.first.network.scale
            if scale not in self._loaded:
                self._loaded[scale] = self._make(scale)
            self._by_growth[needed] = self._loaded[scale]
        return self._by_growth[needed]


@dataclass(frozen=True)
class NetworkRequest:
    """The network of a batch: arguments of `Upscaler`."""

    model: str
    scale: float
    device: str
    precision: str
    effort: str | float
    tile: int | None
    compiled: bool


def load_network(request: NetworkRequest) -> UpscalersByScale:
    """Load a batch's network; others of its scales when an image needs them."""

    def make(scale: float) -> Upscaler:
        return Upscaler(
            request.model,
            scale,
            request.device,
            request.precision,
            effort=request.effort,
            tile=request.tile,
            compiled=request.compiled,
        )

    return UpscalersByScale(request.model, make, request.scale)


@dataclass(frozen=True)
class BatchOptions:
    """Options that all jobs of a batch share.

    Args:
        size: How large results shall be.
        quality: Of lossy formats, 1 to 100.
        limits: Limits for the size of a result.
        metadata: What of it is kept.
    """

    size: TargetSize
    quality: int
    limits: SizeLimits
    metadata: MetadataPolicy


def upscale_to_size(
    image: DecodedImage,
    upscalers: UpscalersByScale,
    batch: BatchOptions,
    on_tile: Callable[[int, int], None],
    on_progress: Callable[[float], None],
) -> Upscaled[Pixels]:
    """Upscale an image to the size asked for.

    Raises:
        UnknownScale: The result is beyond what the network makes.
    """
    old = image.width, image.height
    new = batch.size.size(*old)
    upscaler = upscalers.for_scale(scale_needed(old, new))
    choice = choose_weights(upscaler.model, image.compression, upscaler.scale)
    made = upscaler.with_weights(choice).upscale(image.pixels, on_tile, new, on_progress)
    return replace(made, report=made.report.with_choice(choice))
