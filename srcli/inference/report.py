"""What it took to upscale one picture."""

from dataclasses import dataclass

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What it took to upscale one picture.

    Args:
        seconds: Time in the network.
        tiles: Crops computed, for all planes.
        reruns: Of these, computed again in fp32.
        megapixels: Of the result.
        live_windows: The share of windows computed in each layer, in [0, 1].
    """

    seconds: float
    tiles: int
    reruns: int
    megapixels: float
    live_windows: tuple[float, ...]
