"""The page that compares bicubic and result: what it is made of, and in a real browser."""

import io
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from srcli.errors import UnreadableImage, UnwritableImage
from srcli.media import DecodedImage, Metadata, read_image
from srcli.media.icc import Colours, gray_profile, matrix_profile
from srcli.viz.compare_crops import (
    LARGEST_DETAIL,
    Region,
    bicubic_crop,
    choose_regions,
    result_crop,
    srgb_conversion,
    thumbnail,
)
from srcli.viz.compare_facts import Pair, facts_of
from srcli.viz.compare_page import Page, refuse_foreign_page, write_page
from srcli.viz.pixels import as_rgb
from tests.viz import browsing
from tests.viz.conftest import NAME, SAMPLE

P3 = matrix_profile(Colours(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), curve=(2.2,)))


@pytest.mark.parametrize("size", [(312, 176), (203, 115), (91, 51), (45, 25), (78, 44)])
@pytest.mark.parametrize("kind", ["rgb", "deep gray", "alpha"])
def test_a_bicubic_crop_is_that_of_the_whole_enlargement(
    rng: np.random.Generator, size: tuple[int, int], kind: str
) -> None:
    pixels = {
        "rgb": rng.integers(0, 256, (44, 78, 3), np.uint8),
        "deep gray": rng.integers(0, 65536, (44, 78, 1), np.uint16),
        "alpha": rng.integers(0, 256, (44, 78, 4), np.uint8),
    }[kind]
    whole = np.asarray(Image.fromarray(as_rgb(pixels)).resize(size, Image.Resampling.BICUBIC))
    width, height = size[0] // 3, size[1] // 2
    for left, top in ((0, 0), (7, 5), (size[0] - width, size[1] - height)):
        crop = np.asarray(bicubic_crop(pixels, Region(left, top, width, height), *size))
        expected = whole[top : top + height, left : left + width]
        assert np.abs(crop.astype(int) - expected).max() <= 1


def test_the_most_textured_places_come_first(rng: np.random.Generator) -> None:
    pixels = np.full((600, 900, 3), 90, np.uint8)
    pixels[30:190, 500:750] = rng.integers(60, 140, (160, 250, 3))
    pixels[350:510, 60:310] = rng.integers(0, 256, (160, 250, 3))
    first, second = choose_regions(pixels, 3600, 2400, 2)
    for region, (left, top) in ((first, (60, 350)), (second, (500, 30))):
        assert (region.width, region.height) == LARGEST_DETAIL
        assert abs(region.left / 4 - left) < 40
        assert abs(region.top / 4 - top) < 40


def test_places_lie_within_and_apart(rng: np.random.Generator) -> None:
    for height, width, scale in ((700, 500, 4), (170, 900, 4), (1300, 1300, 1.2), (43, 2000, 2)):
        pixels = rng.integers(0, 256, (height, width, 1), np.uint8)
        size = round(width * scale), round(height * scale)
        regions = choose_regions(pixels, *size, 3)
        assert regions
        for number, one in enumerate(regions):
            assert 0 <= one.left <= size[0] - one.width
            assert 0 <= one.top <= size[1] - one.height
            for other in regions[:number]:
                apart = abs(one.left - other.left) > 0.6 * one.width
                assert apart or abs(one.top - other.top) > 0.6 * one.height


def test_small_and_flat_images_have_one_place() -> None:
    assert choose_regions(np.zeros((1, 1, 3), np.uint8), 4, 4, 3) == (Region(0, 0, 4, 4),)
    flat = choose_regions(np.zeros((900, 1200, 1), np.uint16), 4800, 3600, 3)
    assert flat == (Region(1888, 1460, 1024, 680),)


def test_the_thumbnail_is_the_whole_image(rng: np.random.Generator) -> None:
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB").resize((4000, 1500)))
    small = thumbnail(pixels)
    assert small.size == (640, 240)
    reference = Image.fromarray(pixels).resize((640, 240), Image.Resampling.BOX)
    assert np.abs(np.asarray(small).astype(int) - np.asarray(reference)).mean() < 3
    assert thumbnail(pixels[:5, :7]).size == (7, 5)


def test_colours_are_shown_in_srgb() -> None:
    pixels = np.full((4, 4, 3), (200, 60, 40), np.uint8)
    part = Image.fromarray(pixels)
    shown = srgb_conversion(DecodedImage(pixels, "png", Metadata(icc=P3)))(part)
    assert P3 is not None
    reference = ImageCms.profileToProfile(
        part, ImageCms.ImageCmsProfile(io.BytesIO(P3)), ImageCms.createProfile("sRGB"), 1
    )
    assert reference is not None
    assert shown.getpixel((0, 0)) == reference.getpixel((0, 0)) != (200, 60, 40)
    by_number = DecodedImage(pixels, "png", Metadata(cicp=bytes((12, 4, 0, 1))))
    assert srgb_conversion(by_number)(part).getpixel((0, 0)) == reference.getpixel((0, 0))
    gray = DecodedImage(pixels[..., :1], "png", Metadata(icc=gray_profile(Colours(curve=(1.0,)))))
    light = srgb_conversion(gray)(Image.new("RGB", (1, 1), (55, 55, 55))).getpixel((0, 0))
    assert light == (128, 128, 128)  # which is 55 / 255 of the light
    for profile in (None, b"damaged" * 40):
        plain = srgb_conversion(DecodedImage(pixels, "png", Metadata(icc=profile)))
        assert plain(part).getpixel((0, 0)) == (200, 60, 40)


def decoded(pixels: np.ndarray) -> DecodedImage:
    return DecodedImage(pixels, "png")


def test_memory_does_not_grow_with_the_images(tmp_path: Path, photo: np.ndarray) -> None:
    """When a pair is read, no image of an earlier pair is held."""
    alive: weakref.WeakSet[DecodedImage] = weakref.WeakSet()
    most = 0

    def read(pixels: np.ndarray) -> DecodedImage:
        nonlocal most
        image = decoded(pixels.copy())
        alive.add(_Hashable(image))  # type: ignore[arg-type]
        most = max(most, len(alive))
        return image

    class _Hashable:
        def __init__(self, image: DecodedImage) -> None:
            object.__setattr__(image, "token", self)

    (tmp_path / "a.png").write_bytes(b"x")
    pair = Pair("a", tmp_path / "a.png", tmp_path / "a.png", "")
    big = np.kron(photo, np.ones((2, 2, 1), np.uint8))
    write_page(
        tmp_path / "p.html", Page("t", [], [pair] * 8), lambda _: read(photo), lambda _: read(big)
    )
    assert most == 2


def test_what_was_kept_and_lost_is_said(tmp_path: Path, photo: np.ndarray) -> None:
    (tmp_path / "a.png").write_bytes(bytes(1500))
    deep = DecodedImage(
        np.dstack([photo, photo[..., :1]]).astype(np.uint16),
        "png",
        Metadata(icc=P3, exif=b"x", dpi=(300, 300), cicp=bytes((9, 16, 0, 1))),
        left_out=4,
    )
    flat = DecodedImage(photo, "jpeg", Metadata(exif=b"x", dpi=(300, 300)))
    pair = Pair("a", tmp_path / "a.png", tmp_path / "a.png", "4 s", ("alpha on white",))
    facts = dict(facts_of(pair, deep, flat, "one place"))
    assert facts["Kept"] == "EXIF, resolution"
    assert facts["Lost"] == (
        "alpha on white; not in the result: colour profile, transparency, 16 bits"
    )
    assert facts["Shown"] == (
        "one place; HDR values as they are stored; transparent parts over gray; 8 of 16 bits; "
        "the first of 5 pages or frames"
    )
    assert facts["Input"].replace("\N{NO-BREAK SPACE}", " ") == (
        "a.png: PNG, RGB and alpha, 16 bits, 2 kB"
    )
    assert dict(facts_of(pair, flat, flat, ""))["Lost"] == "alpha on white"
    unknown = Pair("a", pair.source, pair.target, "", None)
    assert dict(facts_of(unknown, flat, flat, ""))["Lost"] == "nothing that the two files show"


def test_only_our_pages_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    write_page(page, Page("one", [], []), read_image, read_image)
    write_page(page, Page("two", [], []), read_image, read_image)
    assert "<h1>two</h1>" in page.read_text("utf-8")
    (tmp_path / "link.html").symlink_to(page)
    (tmp_path / "own.html").write_text("<html>my own page</html>")
    (tmp_path / "folder.html").mkdir()
    for name in ("link.html", "own.html", "folder.html"):
        with pytest.raises(UnwritableImage, match="hint:"):
            refuse_foreign_page(tmp_path / name)
        with pytest.raises(UnwritableImage, match="hint:"):
            write_page(tmp_path / name, Page("three", [], []), read_image, read_image)
    assert (tmp_path / "own.html").read_text() == "<html>my own page</html>"
    assert not list(tmp_path.glob(".*"))


def test_a_stopped_page_leaves_the_old_one(tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    write_page(page, Page("old", [], []), read_image, read_image)

    def stop(_: Path) -> DecodedImage:
        raise KeyboardInterrupt

    pair = Pair("a", tmp_path / "a", tmp_path / "b", "")
    with pytest.raises(KeyboardInterrupt):
        write_page(page, Page("new", [], [pair]), stop, stop)
    assert "<h1>old</h1>" in page.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["compare.html"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a photograph whose result is told apart by its colours, and two that fail."""
    folder = tmp_path_factory.mktemp("compared")
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB").resize((700, 460)))
    result = Image.fromarray(pixels).resize((2100, 1380))
    Image.fromarray(pixels).save(folder / NAME, lossless=True)
    Image.fromarray(255 - np.asarray(result)).save(folder / "result.png", compress_level=1)
    pairs = [
        Pair(NAME, folder / NAME, folder / "result.png", "3.2 s in the network", ("EXIF & more",)),
        Pair("gone.png", folder / "gone.png", folder / "result.png", ""),
        Pair("other.png", folder / "result.png", SAMPLE, ""),
    ]
    page = Page("photos", ["adaformer, x3"], pairs, ["bad.jpg: damaged <b>"])
    write_page(folder / "compare.html", page, read_image, read_image)
    return folder


def opened(browser, path: Path, **context: object):
    viewport = {"width": 1440, "height": 1000}
    return browsing.opened(browser, path, **({"viewport": viewport} | context))


def shown(page) -> np.ndarray:
    """Content of the frame above the words at its foot."""
    return browsing.shown(page, ".frame")[:600]


def set_slider(page, value: int) -> None:
    browsing.set_range(page.locator(".frame ~ .controls input"), value)


@pytest.mark.slow
def test_the_slider_shows_bicubic_and_result(browser, written: Path) -> None:
    pixels = read_image(written / NAME).pixels
    result = read_image(written / "result.png").pixels
    regions = choose_regions(pixels, 2100, 1380, 3)
    with opened(browser, written / "compare.html") as page:
        buttons = page.locator(".map button")
        assert buttons.count() == len(regions) == 3
        first = np.asarray(result_crop(result, regions[0])).astype(int)
        set_slider(page, 0)
        assert np.abs(shown(page) - first[:600]).mean() < 4  # pixel for pixel, but for WebP
        buttons.nth(2).click()
        expected = [
            np.asarray(bicubic_crop(pixels, regions[2], 2100, 1380)).astype(int),
            np.asarray(result_crop(result, regions[2])).astype(int),
        ]
        seen = []
        for value, whole in ((100, expected[0]), (0, expected[1])):
            set_slider(page, value)
            seen.append(shown(page))
            assert np.abs(seen[-1] - whole[:600]).mean() < 4
        set_slider(page, 50)
        half, middle = shown(page), 512
        assert np.array_equal(half[:, : middle - 24], seen[0][:, : middle - 24])
        assert np.array_equal(half[:, middle + 24 :], seen[1][:, middle + 24 :])


def test_dragging_and_flipping(browser, written: Path) -> None:
    with opened(browser, written / "compare.html") as page:
        box = page.locator(".frame").bounding_box()
        slider = page.locator(".controls input")
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 60)
        page.mouse.up()
        assert float(slider.input_value()) == pytest.approx(25, abs=0.5)
        divider = page.locator(".divider").bounding_box()
        assert divider["x"] + 1 - box["x"] == pytest.approx(0.25 * box["width"], abs=3)
        for value in ("100", "0", "100"):
            page.locator(".flip").click()
            assert slider.input_value() == value
        page.select_option("#zoom", label="200 %")
        detail = page.locator(".detail").first.bounding_box()
        assert (detail["width"], detail["height"]) == (2048, 1360)
        assert detail["x"] + 1024 == pytest.approx(box["x"] + box["width"] / 2, abs=1)


def test_the_keyboard_reaches_everything(browser, written: Path) -> None:
    with opened(browser, written / "compare.html") as page:
        reached = []
        for _ in range(6):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.tagName"))
            if reached[-1] == "INPUT":
                page.keyboard.press("ArrowRight")
                assert page.locator(".controls input").input_value() == "51"
                page.keyboard.press("End")
                assert page.locator(".controls input").input_value() == "100"
                assert not page.locator(".divider").is_visible()
                assert "left" in page.evaluate("document.activeElement.ariaLabel")
        assert reached == ["SELECT", "INPUT", "BUTTON", "BUTTON", "BUTTON", "BUTTON"]
        page.keyboard.press("Enter")
        assert page.locator(".detail").nth(2).is_visible()
        assert not page.locator(".detail").first.is_visible()
        assert page.locator(".map button").nth(2).get_attribute("aria-pressed") == "true"


def test_phones_and_dark_screens(browser, written: Path) -> None:
    with opened(
        browser, written / "compare.html", device_scale_factor=3, is_mobile=True,
        viewport={"width": 360, "height": 740},
    ) as page:  # fmt: skip
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colours = page.evaluate(
                "['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])"
            )
            ground, ink = (sum(map(int, re.findall(r"\d+", one)[:3])) for one in colours)
            assert (ground < ink) == (scheme == "dark")
        frame = page.locator(".frame").bounding_box()
        assert 300 < frame["width"] <= 360


def test_everything_is_said(browser, written: Path) -> None:
    with opened(browser, written / "compare.html") as page:
        assert page.locator("h2").first.inner_text() == NAME
        assert page.locator("h2 b").count() == 0
        facts = page.locator("dl").inner_text()
        for words in ("3.2 s in the network", "EXIF & more", "WEBP, RGB, 8 bits", "1024x680 px"):
            assert words in facts
        assert "700x460 px → 2100x1380 px (x3)" in page.locator("article p").first.inner_text()
        trouble = page.locator(".trouble").all_inner_texts()
        assert len(trouble) == 3
        assert "No such file" in trouble[0]
        assert "no enlargement" in trouble[1]
        assert "bad.jpg: damaged <b>" in trouble[2]


def test_the_page_holds_everything(written: Path) -> None:
    text = (written / "compare.html").read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)|https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert len(text) < 4_000_000


def test_no_pair_fails_the_page(tmp_path: Path) -> None:
    def refuse(_: Path) -> DecodedImage:
        raise UnreadableImage("a.png: damaged")

    pair = Pair("a.png", tmp_path / "a", tmp_path / "b", "")
    write_page(tmp_path / "p.html", Page("t", [], [pair, pair]), refuse, refuse)
    assert (tmp_path / "p.html").read_text().count("Cannot be shown: a.png: damaged") == 2
