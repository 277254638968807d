"""Make the images of `visualize.md`: contact sheets, and the report in a browser.

python docs/measure/visualize_images.py
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parents[1]
PHOTOS = {
    "bridge": DOCS / "visualize" / "bridge.jpg",
    "akihabara": DOCS / "samples" / "akihabara.png",
    "portrait": DOCS / "visualize" / "portrait.jpg",
}
LIMIT = 150_000  # bytes


def main() -> None:
    """Write all of them."""
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        command = [sys.executable, "-m", "srcli", "visualize-mask", *map(str, PHOTOS.values())]
        subprocess.run([*command, "--html", "-o", folder], check=True)
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, photo in PHOTOS.items():
            made = Path(folder) / f"{photo.stem}_masks"
            save(made / "contact-sheet.png", DOCS / "visualize" / f"{name}_sheet.webp")
            page = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="light")
            page.goto((made / "report.html").as_uri())
            shoot(page, Path(folder) / f"{name}.png")
            save(Path(folder) / f"{name}.png", DOCS / "visualize" / f"{name}_report.webp")
        browser.close()


def shoot(page: Page, path: Path) -> None:
    """Take the report with a map over the image and a window pointed at."""
    page.wait_for_function("document.getElementById('overlay').naturalWidth > 0")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    page.screenshot(path=path)


def save(source: Path, target: Path) -> None:
    """Convert an image to a small WebP."""
    image = Image.open(source).convert("RGB")
    for quality in range(90, 20, -5):
        image.save(target, quality=quality, method=6)
        if target.stat().st_size <= LIMIT:
            return


if __name__ == "__main__":
    main()
