"""All maps of an explanation as named arrays."""

from pathlib import Path

import numpy as np

from srcli.inference.maps import Map
from srcli.inference.planes import Pixels
from srcli.viz.map_types import Explained

__all__ = ["arrays_of", "save_arrays"]


def arrays_of(explained: Explained, pixels: Pixels) -> dict[str, Map]:
    """The arrays that `--npz` writes; `docs/visualize.md` lists their shapes and units.

    Args:
        explained: What happened.
        pixels: The input, (H, W, c).
    """
    threshold = np.nan if explained.threshold is None else explained.threshold
    arrays: dict[str, Map] = {
        "size": np.array(pixels.shape[:2], np.int64),
        "scale": np.array(explained.scale, np.float64),
        "window": np.array(explained.window, np.int64),
        "threshold": np.array(threshold, np.float64),
    }
    layers = explained.layers
    if layers:
        arrays["local_mask"] = np.stack([layer.local_mask for layer in layers])
        arrays["global_mask"] = np.stack([layer.global_mask for layer in layers])
        arrays["depth"] = explained.depth
    maps = [layer.confidence for layer in layers if layer.confidence is not None]
    if maps:
        arrays["confidence"] = np.stack(maps)
        arrays["score"] = np.stack([explained.score(n) for n in range(1, len(layers) + 1)])
    if explained.pure is not None:
        arrays["pure_mask"] = explained.pure.mask
        arrays["pure_classes"] = explained.pure.classes
    return arrays


def save_arrays(explained: Explained, pixels: Pixels, path: Path) -> None:
    """Write them, compressed."""
    with path.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays_of(explained, pixels))
