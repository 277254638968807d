"""Time a folder through decoding, a simulated device and encoding, by their numbers at once.

python docs/measure/overlap.py IMAGE.jpg --images 12 --scale 4 --rate 0.07 --threads 1,2
python docs/measure/overlap.py IMAGE.jpg --images 12 --rate 0.02 --decoders 1,2 --no-encoding

The device does nothing for --rate seconds a megapixel of LR (0.07 is adaformer x4 on an H100);
decoding and encoding are real. Printed are the seconds of decoding and of encoding one image, and
for each number of decoders and of threads that encode the ratio of all the time to the device's
alone: 1 is the goal.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count, product
from pathlib import Path

from srcli.inference.device import usable_cores
from srcli.media import DecodedImage, DecodeLimits, DecoderPool, write_image
from srcli.pipeline import LoadPool, StorePool, stream


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.07)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--decoders", default="1")
    parser.add_argument("--format", default="png")
    parser.add_argument("--no-encoding", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, DecoderPool(DecodeLimits()) as decoder:
        began = time.perf_counter()
        lr = decoder.read(given.image).image
        began, decoding = time.perf_counter(), time.perf_counter() - began
        sr = lr.pixels.repeat(given.scale, 0).repeat(given.scale, 1)
        result = replace(lr, pixels=sr, format=given.format)
        began = time.perf_counter()
        write_image(result, Path(folder, "one"))
        encoding = time.perf_counter() - began
        device = given.rate * lr.width * lr.height / 1e6
        sys.stdout.write(
            f"an image: decoding {decoding:.2f} s, encoding {encoding:.2f}, device {device:.2f}\n"
        )
        numbers = count()

        def compute(_: Path, read: DecodedImage) -> DecodedImage:
            time.sleep(given.rate * read.width * read.height / 1e6)
            return result

        def store(_: Path, made: DecodedImage) -> None:
            if not given.no_encoding:
                write_image(made, Path(folder, str(next(numbers))))

        def load(path: Path) -> DecodedImage:
            return decoder.read(path).image

        for decoders, threads in product(_numbers(given.decoders), _numbers(given.threads)):
            decoder.allow(decoders)
            paths = [given.image] * given.images
            list(
                stream(paths[:decoders], load, compute, store, loaders=LoadPool(decoders))
            )  # start them
            began = time.perf_counter()
            loaders, pool = LoadPool[Path](decoders), StorePool[DecodedImage](threads)
            ends = list(stream(paths, load, compute, store, pool, loaders))
            assert not any(end.error for end in ends)
            ratio = (time.perf_counter() - began) / (given.images * device)
            sys.stdout.write(
                f"{decoders} decoders, {threads} threads, {usable_cores()} cores: {ratio:.2f} of "
                "the device's time\n"
            )


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


if __name__ == "__main__":
    main()
