"""Make `before_after.webp`: samples enlarged by bicubic, by srcli, and as they were.

python docs/measure/before_after.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srcli import Upscaler

DOCS = Path(__file__).parents[1]
TRUTH = DOCS.parent / "tests" / "samples_hr"
CROPS = {  # sample: left and top of a 240×180 px crop of the result
    "samples/akihabara.png": (330, 130),
    "samples/norway/bryggen.webp": (430, 130),
}
WIDTH, HEIGHT, ZOOM, BAR = 240, 180, 2, 28
COLUMNS = ("bicubic x4", "srcli x4", "original")


def main() -> None:
    """Write the image."""
    upscaler = Upscaler(scale=4, effort="balanced")
    size = (len(COLUMNS) * WIDTH * ZOOM, BAR + len(CROPS) * HEIGHT * ZOOM)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(COLUMNS):
        draw.text((column * WIDTH * ZOOM + 8, 4), title, "black", ImageFont.load_default(18))
    for row, (name, (left, top)) in enumerate(CROPS.items()):
        lr = Image.open(DOCS / name).convert("RGB")
        hr = Image.open(TRUTH / f"{Path(name).stem}.webp").convert("RGB")
        sr = Image.fromarray(upscaler(np.asarray(lr)))
        for column, image in enumerate((lr.resize(hr.size, Image.Resampling.BICUBIC), sr, hr)):
            crop = image.crop((left, top, left + WIDTH, top + HEIGHT))
            crop = crop.resize((WIDTH * ZOOM, HEIGHT * ZOOM), Image.Resampling.NEAREST)
            sheet.paste(crop, (column * WIDTH * ZOOM, BAR + row * HEIGHT * ZOOM))
    sheet.save(DOCS / "before_after.webp", quality=92, method=6)


if __name__ == "__main__":
    main()
