"""Make `compare.webp` of the README: the page that `srcli upscale --compare` writes, in a browser.

python docs/measure/compare_image.py
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parents[1]
PHOTO = DOCS / "samples" / "norway" / "bryggen.webp"
LIMIT = 150_000  # bytes


def main() -> None:
    """Upscale a sample, open its page, and write the image."""
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        shot = Path(folder) / "page.png"
        command = [sys.executable, "-m", "srcli", "upscale", str(PHOTO), "--compare", "-o", folder]
        subprocess.run(command, check=True)
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 800}, color_scheme="light")
        page.goto((Path(folder) / f"{PHOTO.stem}_x4_compare.html").as_uri())
        page.evaluate("() => Promise.all([...document.images].map(image => image.decode()))")
        page.screenshot(path=shot)
        browser.close()
        image = Image.open(shot).convert("RGB")
        for quality in range(90, 20, -5):
            image.save(DOCS / "compare.webp", quality=quality, method=6)
            if (DOCS / "compare.webp").stat().st_size <= LIMIT:
                return


if __name__ == "__main__":
    main()
