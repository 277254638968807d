"""Where weights for compressed images begin to win, and what `-m auto` makes of a mixed folder.

python docs/measure/auto_choice.py FOLDER [--scale 4] [--limit N]

FOLDER holds originals. LR images are made by MATLAB's bicubic and written as files: PNG, JPEG of
several qualities (4:2:0), lossy WebP and AVIF of several, and PNG made of a JPEG. Each file is read
as `srcli upscale` reads it and upscaled with the weights for clean images and with those for
compressed ones, at `balanced`. Printed are, for each kind of file, the mean PSNR-Y (8 bits, border
of the scale cut off) of both and the share of files for which `auto` takes the photo weights; and
the means over all files of always clean, always photo, and auto.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli import Upscaler
from srcli.data.resize import downscale
from srcli.inference.choose_weights import choose_weights
from srcli.media import read_image
from srcli.metrics.protocols import protocol_named
from srcli.weights import clean_model, photo_model

JPEG = (98, 95, 92, 90, 85, 75, 60, 40, 20)
OTHERS = {"webp": (95, 80, 50), "avif": (90, 65, 40)}


def files(lr: NDArray[np.uint8], folder: Path) -> Iterator[tuple[str, Path]]:
    """Write an LR image in every kind of file; yield the kind and the file."""
    image = Image.fromarray(lr)
    image.save(folder / "clean.png")
    yield "png", folder / "clean.png"
    for quality in JPEG:
        path = folder / f"{quality}.jpg"
        image.save(path, quality=quality, subsampling="4:2:0")
        yield f"jpeg {quality}", path
    for suffix, qualities in OTHERS.items():
        for quality in qualities:
            path = folder / f"{quality}.{suffix}"
            image.save(path, quality=quality)
            yield f"{suffix} {quality}", path
    for quality in (90, 60):
        path = folder / f"of_{quality}.png"
        Image.open(folder / f"{quality}.jpg").save(path)
        yield f"png of jpeg {quality}", path


def main() -> None:
    """Measure, and print the table."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    photo = photo_model("auto", given.scale)
    if photo is None:
        parser.error("there are no photo weights")
    upscalers = {name: Upscaler(name, given.scale) for name in (clean_model("auto"), photo)}
    protocol = protocol_named("basicsr-y")
    scores: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
    paths = sorted(path for path in given.folder.iterdir() if path.suffix in (".png", ".jpg"))
    for path in paths[: given.limit]:
        hr = np.asarray(Image.open(path).convert("RGB"))
        hr = hr[
            : hr.shape[0] // given.scale * given.scale, : hr.shape[1] // given.scale * given.scale
        ]
        with tempfile.TemporaryDirectory() as scratch:
            for kind, file in files(downscale(hr, given.scale), Path(scratch)):
                read = read_image(file)
                clean, damaged = (
                    protocol.compare(one(read.pixels), hr, given.scale).psnr
                    for one in upscalers.values()
                )
                choice = choose_weights("auto", read.compression, given.scale)
                scores[kind].append(
                    (clean, damaged, float(choice is not None and choice.model == photo))
                )
    say(f"{'file':18} {'clean':>7} {photo:>18} {'auto takes photo':>17}" + "\n")
    for kind, rows in scores.items():
        clean, damaged, taken = np.mean(rows, 0)
        say(f"{kind:18} {clean:7.2f} {damaged:18.2f} {taken:17.0%}" + "\n")
    rows = np.asarray([row for one in scores.values() for row in one])
    auto = np.where(rows[:, 2] > 0, rows[:, 1], rows[:, 0])
    means = rows[:, 0].mean(), rows[:, 1].mean(), auto.mean()
    say("all files: always clean {:.3f}, always photo {:.3f}, auto {:.3f}\n".format(*means))


if __name__ == "__main__":
    main()
