"""Make the two clips of docs/video.md, 640x360, x264: typing in a window, and a talking head.

    python docs/measure/make_clips.py FOLDER BACKGROUND.jpg PORTRAIT.jpg

`typing.mp4`: a page of text in which four letters appear every third frame. `head.mp4`: an oval of
the portrait that sways, with a mouth that opens and closes, before a still background, with the
noise of a camera (standard deviation of 2 of 255 levels, new in every frame).
"""

import argparse
import math
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

_SIZE = 640, 360
_RATE = 30
_NOISE = 2.0  # levels
_LINE = "It is a truth universally acknowledged, that a single man in possession of a fortune "


def main() -> None:
    """Make both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("background", type=Path)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("--frames", type=int, default=120)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    photos = [Image.open(path).convert("RGB") for path in (asked.background, asked.portrait)]
    _write(asked.folder / "typing.mp4", [_typing(number) for number in range(asked.frames)])
    _write(asked.folder / "head.mp4", [_head(number, *photos) for number in range(asked.frames)])


def _typing(number: int) -> NDArray[np.uint8]:
    """A frame of a page that is being typed, (h, w, 3)."""
    page = Image.new("RGB", _SIZE, (236, 238, 241))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, _SIZE[0], 27), fill=(52, 60, 78))
    draw.text((12, 8), "letter.txt - Editor", fill=(230, 230, 230))
    draw.rectangle((40, 44, _SIZE[0] - 40, _SIZE[1]), fill=(255, 255, 255))
    written = (_LINE * 20)[: 900 + number // 3 * 4]
    for row, start in enumerate(range(0, len(written), 84)):
        draw.text((56, 56 + 15 * row), written[start : start + 84], fill=(20, 20, 20))
    return np.asarray(page)


def _head(number: int, background: Image.Image, portrait: Image.Image) -> NDArray[np.uint8]:
    """A frame of a head that talks, (h, w, 3)."""
    frame = ImageOps.fit(background, _SIZE)
    face = ImageOps.fit(portrait, (150, 210))
    moment = number / _RATE
    draw = ImageDraw.Draw(face)
    mouth = 4 + 6 * abs(math.sin(7 * moment))
    draw.ellipse((50, 150 - mouth, 100, 150 + mouth), fill=(70, 20, 24))
    mask = Image.new("L", face.size)
    ImageDraw.Draw(mask).ellipse((0, 0, *face.size), fill=255)
    place = 245 + round(8 * math.sin(1.7 * moment)), 95 + round(4 * math.sin(2.3 * moment))
    frame.paste(face, place, mask)
    numbers = np.random.default_rng(number)
    noisy = np.asarray(frame) + numbers.normal(0, _NOISE, (_SIZE[1], _SIZE[0], 3))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _write(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "23"})
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
