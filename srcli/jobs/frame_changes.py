"""Changes between the frames of a clip, and the parts that have to be computed anew for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srcli.inference.crop_reach import CropReach
from srcli.inference.live_rectangles import Rectangle, live_rectangles
from srcli.media import Pixels

__all__ = ["CODING_NOISE", "ChangedPart", "FrameChanges"]

CODING_NOISE = 4
"""Levels of 255 by which a coder changes what stands still."""

_BLOCK = 8  # LR px
_FIXED = 32  # blocks that a crop costs besides its area
_WORTH = 0.6  # of the frame's area; parts that cost more are not worth their seams


@dataclass(frozen=True)
class ChangedPart:
    """A part to compute anew, LR px, and the crop to compute it from.

    Args:
        part: Stops are exclusive.
        crop: The part with the context that its result depends on.
    """

    part: Rectangle
    crop: Rectangle


class FrameChanges:
    """Tells of each frame which parts differ from what the last results were computed from.

    Parts that are not computed anew stay compared with the frame that they come from, so that small
    changes add up until they count.

    Args:
        reach: Of the network's crops; None compares whole frames.
        noise: Levels of 255 by which a sample may differ and still count as unchanged.
    """

    def __init__(self, reach: CropReach | None, noise: int) -> None:
        self._reach = reach
        self._noise = noise
        self._reference: Pixels | None = None

    def reset(self) -> None:
        """Forget all frames: the next one is computed whole."""
        self._reference = None

    def parts(self, pixels: Pixels) -> list[ChangedPart] | None:
        """The parts to compute anew, none if nothing changed; None: the whole frame."""
        before = self._reference
        parts = None if before is None else self._differing(before, pixels)
        if before is None or parts is None:
            self._reference = pixels
        elif parts:
            self._reference = before.copy()
            for one in parts:
                at = np.s_[one.part.top : one.part.bottom, one.part.left : one.part.right]
                self._reference[at] = pixels[at]
        return parts

    def _differing(self, before: Pixels, pixels: Pixels) -> list[ChangedPart] | None:
        """See `parts`; most frames are told by the cheap comparison."""
        if np.array_equal(before, pixels):
            return []
        if before.shape != pixels.shape or before.dtype != pixels.dtype:
            return None
        if self._reach is None and not self._noise:
            return None
        changed = self._changed_blocks(before, pixels)
        if not changed.any():
            return []
        return None if self._reach is None else _parts(changed, self._reach, pixels.shape)

    def _changed_blocks(self, before: Pixels, now: Pixels) -> NDArray[np.bool_]:
        """Blocks (h, w) with a sample that differs by more than noise."""
        noise = self._noise * (np.iinfo(now.dtype).max // 255)
        height, width, _ = now.shape
        far = np.maximum(before, now) - np.minimum(before, now) > noise
        differs = np.logical_or.reduce(far, axis=2)
        whole = np.zeros((-(-height // _BLOCK) * _BLOCK, -(-width // _BLOCK) * _BLOCK), np.bool_)
        whole[:height, :width] = differs
        parted = whole.reshape(len(whole) // _BLOCK, _BLOCK, -1, _BLOCK)
        return np.logical_or.reduce(parted, axis=(1, 3))


def _parts(
    changed: NDArray[np.bool_], reach: CropReach, shape: tuple[int, ...]
) -> list[ChangedPart] | None:
    """Cover changed blocks and all that they reach; None where the whole frame costs less."""
    height, width = shape[:2]
    live = _grown(changed, -(-reach.affected // _BLOCK))
    parts: list[ChangedPart] = []
    cost = 0
    for blocks in live_rectangles(live, reach.context / _BLOCK, _FIXED):
        part = Rectangle(
            blocks.top * _BLOCK,
            min(blocks.bottom * _BLOCK, height),
            blocks.left * _BLOCK,
            min(blocks.right * _BLOCK, width),
        )
        top, left = (
            max(start - reach.context, 0) // reach.alignment * reach.alignment
            for start in (part.top, part.left)
        )
        bottom, right = part.bottom + reach.context, part.right + reach.context
        crop = Rectangle(top, min(bottom, height), left, min(right, width))
        cost += (crop.bottom - crop.top) * (crop.right - crop.left)
        parts.append(ChangedPart(part, crop))
    return parts if cost < _WORTH * height * width else None


def _grown(blocks: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Blocks with all that are at most `by` away, along rows and columns."""
    for axis in (0, 1):
        padded = np.pad(blocks, [(by, by) if one == axis else (0, 0) for one in (0, 1)])
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * by + 1, axis)
        blocks = np.logical_or.reduce(near, axis=-1)
    return blocks
