"""What it took to upscale one picture."""

from dataclasses import dataclass

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What it took to upscale one picture.

    Args:
        seconds: Time in the network.
        tiles: Tiles computed, for all planes.
        planes: How many there were: the colour, and an alpha that varies.
        reruns: How often something (a tile, or with exact tiles a plane) was not finite in lower
            precision and was computed again in fp32.
        megapixels: Of the result.
        live_windows: The share of windows computed in each layer, in [0, 1].
        exact: The tiles together are what the whole picture would have given.
        cramped: They could have been, had there been more memory; so they were blended.
        restarts: How often memory ran out and the picture was begun again with smaller tiles.
    """

    seconds: float
    tiles: int
    planes: int
    reruns: int
    megapixels: float
    live_windows: tuple[float, ...]
    exact: bool
    cramped: bool = False
    restarts: int = 0
