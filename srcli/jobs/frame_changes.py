"""Changes between the frames of a clip, and the parts that have to be computed anew for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srcli.inference.crop_reach import CropReach
from srcli.inference.live_rectangles import Rectangle, live_rectangles
from srcli.media import Pixels

__all__ = ["CODING_NOISE", "ChangedPart", "CodingNoise", "FrameChanges"]


@dataclass(frozen=True)
class CodingNoise:
    """Differences by which a coder changes what stands still, in levels of 255, at most.

    Args:
        sample: Of any sample.
        block: Of a block of 8×8 px, root mean square over its samples.
        frame: Of all that is not computed anew, root mean square over the frame's samples: beyond
            it the whole frame is computed.
    """

    sample: float
    block: float
    frame: float


CODING_NOISE = CodingNoise(sample=8, block=2, frame=0.7)
"""Limits of `--temporal fast`."""

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
        noise: By how much what counts as unchanged may differ; None: not at all.
    """

    def __init__(self, reach: CropReach | None, noise: CodingNoise | None) -> None:
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
        if self._noise is None:
            if self._reach is None:
                return None
            return self._cover(_by_block(np.logical_or, before != pixels), pixels)
        levels = (np.maximum(before, pixels) - np.minimum(before, pixels)).astype(np.float32)
        levels /= np.iinfo(pixels.dtype).max // 255
        squares = _by_block(np.add, levels**2)
        samples = _samples_of_blocks(pixels.shape)
        far = _by_block(np.maximum, levels) > self._noise.sample
        parts = self._cover(far | (squares > self._noise.block**2 * samples), pixels)
        for part in (one.part for one in parts or ()):
            rows, columns = _blocks(part.top, part.bottom), _blocks(part.left, part.right)
            squares[rows, columns] = 0
        return None if squares.sum() > self._noise.frame**2 * pixels.size else parts

    def _cover(self, changed: NDArray[np.bool_], pixels: Pixels) -> list[ChangedPart] | None:
        """The parts of a frame that changed blocks reach; None: the whole frame."""
        if not changed.any():
            return []
        return None if self._reach is None else _parts(changed, self._reach, pixels.shape)


def _blocks(start: int, stop: int) -> slice:
    """The blocks of some rows or columns, which start at one."""
    return slice(start // _BLOCK, -(-stop // _BLOCK))


def _by_block(combine: np.ufunc, samples: NDArray[Any]) -> NDArray[Any]:
    """Combine the samples (h, w, c) of each block, (h / 8, w / 8) rounded up."""
    for axis in (0, 1):
        starts = np.arange(0, int(samples.shape[axis]), _BLOCK)
        samples = combine.reduceat(samples, starts, axis)
    return combine.reduce(samples, axis=2)


def _samples_of_blocks(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Samples of each block of an array (h, w, c), (h / 8, w / 8) rounded up."""
    height, width, channels = shape
    rows, columns = (
        np.minimum(_BLOCK, side - np.arange(0, side, _BLOCK)) for side in (height, width)
    )
    return channels * rows[:, None] * columns


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
