"""Training pages of text, interfaces and plots."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from srcli.data.images import read_rgb
from srcli.errors import UsageError
from srcli.training.page_canvas import Canvas, FontBook, random_words
from srcli.training.pages import paint_page, write_pages
from tests.forked_python import run_forked

INK, PAPER = (10, 20, 30), (250, 240, 230)


@pytest.fixture(scope="session")
def font_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The font that comes with Pillow, as a file."""
    folder = tmp_path_factory.mktemp("fonts")
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    (folder / "aileron.ttf").write_bytes(font.font_bytes)
    (folder / "broken.ttf").write_bytes(b"no font")
    return folder


@pytest.fixture
def fonts(font_folder: Path) -> FontBook:
    return FontBook.of_folders([font_folder])


def test_a_seed_gives_the_same_pages_and_another_seed_others(fonts: FontBook, tmp_path: Path):
    first, again, other = (
        [read_rgb(file).tobytes() for file in write_pages(out, 5, seed, (160, 130), fonts)]
        for out, seed in ((tmp_path / "a", 1), (tmp_path / "b", 1), (tmp_path / "c", 2))
    )
    assert first == again
    assert len({*first, *other}) == 10
    assert len(first[0]) == 160 * 130 * 3


def test_a_page_does_not_depend_on_how_many_are_made(fonts: FontBook, tmp_path: Path):
    few = write_pages(tmp_path / "few", 1, 3, (100, 100), fonts)
    many = write_pages(tmp_path / "many", 2, 3, (100, 100), fonts)
    assert few[0].read_bytes() == many[0].read_bytes()


@pytest.mark.parametrize("unit", [1, 4])
def test_the_edge_of_a_box_is_one_layout_pixel_wide(fonts: FontBook, unit: int):
    canvas = Canvas(20, 16, unit, np.random.default_rng(0), fonts)
    canvas.fill(canvas.box, PAPER)
    canvas.outline((3, 2, 17, 13), INK)
    expected = np.full((16, 20, 3), PAPER, np.uint8)
    expected[2:13, 3:17] = INK
    expected[3:12, 4:16] = PAPER
    np.testing.assert_array_equal(
        np.asarray(canvas.image), expected.repeat(unit, 0).repeat(unit, 1)
    )


def test_curves_and_text_are_anti_aliased_in_grey(fonts: FontBook):
    canvas = Canvas(40, 20, 1, np.random.default_rng(0), fonts)
    canvas.fill(canvas.box, (255, 255, 255))
    canvas.text((2, 1), "Swx", fonts.by_script["latin"][0], 14, (0, 0, 0))
    canvas.smooth(
        (28, 2, 40, 14), (0, 0, 0), lambda draw, px: draw.line((0, 0, 11 * px, 5 * px), 255, px)
    )
    pixels = np.asarray(canvas.image)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])  # no coloured fringes
    for part in (pixels[:, :28], pixels[:, 28:]):
        assert np.isin(np.unique(part), (0, 255), invert=True).sum() > 5


def test_pages_are_of_many_kinds(fonts: FontBook):
    pages = [
        np.asarray(paint_page(np.random.default_rng(seed), (200, 200), fonts, unit=1)).mean()
        for seed in range(12)
    ]
    assert min(pages) < 90 < 190 < max(pages)  # dark and light


def test_words_are_of_their_script():
    random = np.random.default_rng(0)
    for script, low, high in (("cyrillic", 0x400, 0x4FF), ("han", 0x4E00, 0x9FFF)):
        letters = {c for word in random_words(random, script, 50) for c in word if ord(c) > 0x2FF}
        assert len(letters) > 15
        assert all(low <= ord(letter) <= high for letter in letters)


def test_refuses_a_folder_without_fonts(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no font for Latin in .*; hint: apt-get install"):
        FontBook.of_folders([tmp_path])


def test_the_command_writes_pages_and_refuses_what_cannot_be(font_folder: Path, tmp_path: Path):
    words = ["-m", "srcli.training.pages", tmp_path / "out", "--fonts", font_folder, "--count"]
    done = run_forked([*words, "2", "--size", "96x64"])
    assert (done.returncode, done.stderr) == (0, f"srcli: 2 pages in {tmp_path / 'out'}\n")
    pages = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in pages] == ["page_0001.png", "page_0002.png"]
    assert [read_rgb(file).shape for file in pages] == [(64, 96, 3)] * 2
    for wrong in (["0"], ["1", "--size", "9x900"]):
        refused = run_forked([*words, *wrong])
        assert refused.returncode == 2
        assert "hint:" in refused.stderr
