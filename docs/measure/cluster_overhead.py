"""Overhead of a cluster of one worker: time of a batch by `--cluster local` and without, in turn.

python docs/measure/cluster_overhead.py IMAGE [TURNS [SIDE]]

Twenty pieces of SIDE px, 512 unless said, are cut from an image and upscaled by
`srcli upscale --json`, one way after the other. A line a turn: seconds from the first `started` to
the last `done` without and with the cluster, their ratio, and the seconds before the first
`started` each way (import, planning and loading; with the cluster also Ray's start). The worker's
share of the processors is that of a whole machine: all its cores.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_COUNT = 20
_COMMAND = (
    *(sys.executable, "-m", "srcli", "upscale", "in", "-m", "adaformer-s", "--effort", "fast"),
    *("--overwrite", "--json"),
)


def cut(image: Path, side: int, folder: Path) -> None:
    """Cut an image into pieces that overlap as little as they can."""
    pixels = np.asarray(Image.open(image).convert("RGB"))
    height, width = pixels.shape[:2]
    rows, columns = 4, 5
    for number in range(_COUNT):
        top = (number // columns) * (height - side) // (rows - 1)
        left = (number % columns) * (width - side) // (columns - 1)
        piece = pixels[top : top + side, left : left + side]
        Image.fromarray(piece).save(folder / f"{number:02}.png")


def times(folder: Path, *more: str) -> tuple[float, float]:
    """Seconds before the first image is begun, and from then to the last result."""
    began = time.time()
    ended = subprocess.run(
        [*_COMMAND, *more], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    first = min(event["time"] for event in told if event["event"] == "started")
    last = max(event["time"] for event in told if event["event"] == "done")
    return first - began, last - first


def main(image: Path, turns: int = 3, side: int = 512) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        cut(image, side, folder / "in")
        ratios: list[float] = []
        for _ in range(turns):
            start, alone = times(folder)
            start_with, with_one = times(folder, "--cluster", "local", "--workers", "1")
            ratios.append(with_one / alone)
            sys.stdout.write(
                f"{alone:.1f} s, {with_one:.1f} s, ratio {ratios[-1]:.3f}; "
                f"started after {start:.1f} s, {start_with:.1f} s\n"
            )
            sys.stdout.flush()
        sys.stdout.write(f"median ratio {statistics.median(ratios):.3f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
