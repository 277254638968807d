"""Pages of our own in a real browser."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image


@contextmanager
def opened(browser, path: Path, **context: object) -> Iterator[object]:
    """A page, opened; in the end nothing was complained about and nothing fetched."""
    window = browser.new_context(**context)
    page = window.new_page()
    page.set_default_timeout(300_000)
    trouble: list[str] = []
    fetched: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(path.as_uri())
    yield page
    window.close()
    assert trouble == []
    assert [url for url in fetched if not url.startswith(("data:", "file:"))] == []


def shown(page, selector: str) -> np.ndarray:
    """Pixels of an element once all images are decoded, (h, w, 3) int."""
    page.evaluate("() => Promise.all([...document.images].map(image => image.decode()))")
    png = page.locator(selector).screenshot()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def set_range(slider, value: int) -> None:
    """Move a slider as a person does: its page hears of it."""
    slider.evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )
