"""Time a folder through decoding, a simulated device and encoding, by the threads that encode.

python docs/measure/overlap.py IMAGE.jpg --images 12 --scale 4 --rate 0.07 --threads 1,2

The device does nothing for --rate seconds a megapixel of LR (0.07 is adaformer x4 on an H100);
decoding and encoding are real. Printed are the seconds of decoding and of encoding one image, and
for each number of threads the ratio of all the time to the device's alone: 1 is the goal.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

from srcli.inference.device import usable_cores
from srcli.media import DecodedImage, DecodeLimits, DecoderProcess, write_image
from srcli.pipeline import StorePool, stream


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.07)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--format", default="png")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, DecoderProcess(DecodeLimits()) as decoder:
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
            write_image(made, Path(folder, str(next(numbers))))

        for threads in map(int, given.threads.split(",")):
            began = time.perf_counter()
            pool = StorePool[DecodedImage](threads)
            paths = [given.image] * given.images
            ends = list(stream(paths, lambda path: decoder.read(path).image, compute, store, pool))
            assert not any(end.error for end in ends)
            ratio = (time.perf_counter() - began) / (given.images * device)
            cores = usable_cores()
            sys.stdout.write(
                f"{threads} threads, {cores} cores: {ratio:.2f} of the device's time\n"
            )


if __name__ == "__main__":
    main()
