"""Bits per pixel of H.264 clips from which the weights for clean images win.

python docs/measure/clip_choice.py FOLDER [--limit N] [--crf 10,14,18,22,26]

FOLDER holds large originals. Of each a slow pan with zoom is made (24 frames of 480x272 px, reduced
bicubically from 4 times the size) and encoded by x264 (4:2:0, preset medium) at several CRF. One
frame of each clip is upscaled by adaformer-s and adaformer-s-photo; printed are the clips' bits per
pixel and frame, and the PSNR-Y of both (8 bits, border of 4 px cut off).
"""

import argparse
import io
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli import Upscaler
from srcli.metrics.protocols import protocol_named

SCALE, FRAMES, SHOWN = 4, 24, (13,)
WIDTH, HEIGHT = 480, 272


def pan(path: Path) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Yield HR and LR frames of a slow pan with zoom."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    wide = min(image.width, image.height * WIDTH // HEIGHT) - 8 * FRAMES
    for number in range(FRAMES):
        across = wide + 4 * number
        left, top = 3.3 * number, 1.7 * number
        box = (left, top, left + across, top + across * HEIGHT / WIDTH)
        hr = image.resize((SCALE * WIDTH, SCALE * HEIGHT), Image.Resampling.LANCZOS, box)
        yield hr, hr.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def coded(frames: list[Image.Image], crf: float) -> tuple[float, list[NDArray[np.uint8]]]:
    """Encode and decode a clip: its bits per pixel and frame, and its frames."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": f"{crf:g}", "preset": "medium"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    bits = 8 * len(file.getvalue()) / (len(frames) * WIDTH * HEIGHT)
    file.seek(0)
    with av.open(file) as container:
        return bits, [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--crf", default="10,14,18,22,26")
    options = parser.parse_args()
    say, protocol = sys.stdout.write, protocol_named("basicsr-y")

    def psnr(sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        return protocol.compare(sr, hr, SCALE).psnr

    both = [Upscaler(model=name, scale=SCALE) for name in ("adaformer-s", "adaformer-s-photo")]
    say("clip, CRF, bits per pixel: clean / photo weights, dB\n")
    for path in sorted(options.folder.iterdir())[: options.limit]:
        frames = list(pan(path))
        for crf in map(float, options.crf.split(",")):
            bits, lr = coded([small for _, small in frames], crf)
            figures = [
                np.mean([psnr(up(lr[n]), np.asarray(frames[n][0])) for n in SHOWN]) for up in both
            ]
            say(f"{path.stem} {crf:g} {bits:.3f}: {figures[0]:.3f} / {figures[1]:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
