"""Time and error of `--temporal exact` and `fast` on a clip, against `off`.

    python docs/measure/temporal.py CLIP [--model adaformer-s] [--scale 2] [--effort balanced]
        [--frames 12] [--first 0]

Frames stay in memory: neither decoding nor encoding is counted.
"""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srcli import Upscaler
from srcli.defaults import TEMPORAL_MODES
from srcli.host_memory import keep_freed_memory
from srcli.jobs.clip_pipeline import FrameStage
from srcli.media import Pixels
from srcli.media.video import ClipInfo, ClipReader, DecodeOptions, Frame


@dataclass(frozen=True)
class Memory:
    """Frames in memory, as a clip's source."""

    info: ClipInfo
    shown: list[Frame]
    notes: list[str]
    lossy: bool = False

    def recount(self) -> None:
        """Nothing was lost."""

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """All frames: `done` and `last` are of runs that are resumed."""
        return iter(self.shown)


def main() -> None:
    """Measure, and print a line for each mode."""
    keep_freed_memory()
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="adaformer-s")
    parser.add_argument("--scale", type=float, default=2)
    parser.add_argument("--effort", default="balanced")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    reader = ClipReader(asked.clip, DecodeOptions())
    last = asked.first + asked.frames
    shown = list(itertools.islice(reader.frames(0, None), asked.first, last))
    source = Memory(replace(reader.info, frames=len(shown)), shown, [])
    upscaler = Upscaler(asked.model, asked.scale, effort=asked.effort)
    height, width, _ = shown[0].pixels.shape
    sys.stdout.write(f"{asked.clip.name}, {width}x{height}, {len(shown)} frames\n")
    expected: list[Pixels] = []
    whole = 0.0
    for mode in TEMPORAL_MODES:
        made: list[Pixels] = []
        stage = FrameStage(upscaler, source, False, lambda done, of: None, 120, mode)
        began = time.perf_counter()
        stage.run(0, None, lambda frame, made=made: made.append(frame.pixels))
        seconds = time.perf_counter() - began
        expected, whole = expected or made, whole or seconds
        errors = [np.abs(a.astype(np.int32) - b) for a, b in zip(expected, made, strict=True)]
        squares = max(float((error**2.0).mean()) for error in errors)
        psnr = 10 * math.log10(255**2 / squares) if squares else math.inf
        largest = max(int(error.max()) for error in errors)
        sys.stdout.write(
            f"{mode:6} {seconds:6.1f} s = {seconds / whole:.2f}; the worst frame {psnr:.1f} dB, "
            f"at most {largest} levels\n"
        )


if __name__ == "__main__":
    main()
