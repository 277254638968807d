"""Share of pure pixels by colour centres, window and windowings. No network runs.

python docs/measure/pure_shares.py LR

LR is a folder of LR images, as SETS/B100/x4/LR. Printed is the mean over
images of the share of their px that are pure, as PP-ATD-light finds them: in one windowing, and
united with a second that is shifted by half a window down and right.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from srcli.data.benchmark_set import single_folder
from srcli.models.atd import ATDConfig
from srcli.models.layers.pure_pixels import colour_centres, nearest_centre, pure_pixels
from srcli.models.layers.windows import extend_by_mirroring

COLOURS, WINDOWS = (8, 16, 32), (2, 4, 8)  # K; w in LR px


def images(folder: Path) -> Iterator[Tensor]:
    """Each image of `folder`, (1, 3, h, w), RGB in [0, 1]."""
    for pair in single_folder(folder, is_hr=False):
        _, pixels = pair.load(1)
        yield torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def shares(lr: Tensor) -> Iterator[float]:
    """The image's share for each K and w, in one windowing and in two."""
    h, w = lr.shape[2:]
    wide = extend_by_mirroring(lr, ATDConfig(4).window)
    for colours in COLOURS:
        classes = nearest_centre(wide, colour_centres(colours))
        for window in WINDOWS:
            half = window // 2
            for shifts in ([(0, 0)], [(0, 0), (half, half)]):
                mask = pure_pixels(classes, window, shifts)
                yield mask[:, :h, :w].float().mean().item()


def main(folder: str) -> None:
    """Print a table in Markdown."""
    found = torch.tensor([list(shares(lr)) for lr in images(Path(folder))])
    means = found.mean(0).view(len(COLOURS), len(WINDOWS), 2)
    sys.stdout.write(f"{len(found)} images; one windowing / two\n\n")
    sys.stdout.write("| K | " + " | ".join(f"w = {w}" for w in WINDOWS) + " |\n")
    sys.stdout.write("|---" * (len(WINDOWS) + 1) + "|\n")
    for colours, row in zip(COLOURS, means.tolist(), strict=True):
        cells = " | ".join(f"{one:.1%} / {two:.1%}" for one, two in row)
        sys.stdout.write(f"| {colours} | {cells} |\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
