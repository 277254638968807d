"""Make `before_after.webp`: samples as JPEG, enlarged by bicubic and by srcli, and as they were.

python docs/measure/before_after.py
"""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from srcli import Upscaler

DOCS = Path(__file__).parents[1]
TRUTH = DOCS.parent / "tests" / "samples_hr"
CROPS = {  # sample: left and top of a 240×180 px crop of the result
    "samples/akihabara.png": (330, 130),
    "samples/norway/bryggen.webp": (430, 130),
}
QUALITY = 75  # of the JPEG, 4:2:0
WIDTH, HEIGHT, ZOOM, BAR = 240, 180, 2, 28
COLUMNS = ("JPEG, bicubic x4", "srcli x4", "original")


def main() -> None:
    """Write the image."""
    upscale = Upscaler("adaformer-photo", scale=4, effort="balanced")  # as -m auto chooses
    size = (len(COLUMNS) * WIDTH * ZOOM, BAR + len(CROPS) * HEIGHT * ZOOM)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(COLUMNS):
        draw.text((column * WIDTH * ZOOM + 8, 4), title, "black", ImageFont.load_default(18))
    for row, (name, (left, top)) in enumerate(CROPS.items()):
        lr = _as_jpeg(Image.open(DOCS / name).convert("RGB"))
        hr = Image.open(TRUTH / f"{Path(name).stem}.webp").convert("RGB")
        columns = (lr.resize(hr.size, Image.Resampling.BICUBIC), upscale(lr), hr)
        for column, image in enumerate(columns):
            crop = image.crop((left, top, left + WIDTH, top + HEIGHT))
            crop = crop.resize((WIDTH * ZOOM, HEIGHT * ZOOM), Image.Resampling.NEAREST)
            sheet.paste(crop, (column * WIDTH * ZOOM, BAR + row * HEIGHT * ZOOM))
    sheet.save(DOCS / "before_after.webp", quality=92, method=6)


def _as_jpeg(image: Image.Image) -> Image.Image:
    """Save an image as JPEG, and read it again."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return Image.open(stream).convert("RGB")


if __name__ == "__main__":
    main()
