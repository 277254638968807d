"""Tools to paint the pages of `srcli.training.pages`: fonts, words, colours, a canvas."""

# ruff: noqa: RUF001 (letters of other scripts)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from srcli.errors import UsageError

__all__ = [
    "Box", "Canvas", "Colour", "Font", "FontBook", "Theme", "inset", "one_of", "random_theme",
    "random_words",
]  # fmt: skip

Box = tuple[int, int, int, int]  # left, top, right, bottom in layout px; the last two excluded
Colour = tuple[int, int, int]
_T = TypeVar("_T")

_FINE = 4  # subsamples to a side of a smooth shape's pixel
_SYLLABLES = {
    "latin": ("b c d f g h j k l m n p r s t v w z st tr ch sh pl", "aeiouaeiouaeiouy"),
    "accented latin": ("b c d f g h j k l m n p r s t v z st tr ß ñ š č ł", "aeiouaeiouéüåøæàâěő"),
    "cyrillic": ("б в г д ж з к л м н п р с т ф х ц ч ш щ ст пр", "аеиоуыэюяй"),
    "greek": ("β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ στ", "αεηιουωάέί"),
    "hebrew": ("א ב ג ד ה ז ח ט כ ל מ נ ס ע פ צ ק ר ש ת", "וי"),
    "arabic": ("ب ت ث ج ح د ر س ش ص ط ع غ ف ق ك ل م ن ه", "اوي"),
    "devanagari": ("क ख ग च ज ट ड त द न प ब म य र ल व स ह", "ािीुेो"),
}
_CHARACTER_RANGES = {"han": (0x4E00, 0x9FA5), "kana": (0x3042, 0x3093), "hangul": (0xAC00, 0xD7A3)}
_SHARES = {
    "latin": 0.47, "accented latin": 0.15, "cyrillic": 0.08, "greek": 0.05,
    "hebrew": 0.03, "arabic": 0.04, "devanagari": 0.03, "han": 0.07, "kana": 0.04, "hangul": 0.04,
}  # fmt: skip
_BESIDE_WORDS = ("12", "2026", "3.5", "0", "47 %", "$9.90", "#18", "(a)", "10:45", "-", "&", "1/2")
_LETTERS_ONLY = frozenset({"hebrew", "arabic", "devanagari"})  # as many of their fonts are
_ASCII = "".join(map(chr, range(33, 127)))
_UNASSIGNED = "\u0378\uf8f0\U0010fffe"


@dataclass(frozen=True)
class Font:
    """A face of a font file."""

    path: Path
    fixed_width: bool


@dataclass(frozen=True)
class FontBook:
    """Fonts by the script that they can write."""

    by_script: dict[str, list[Font]]

    @staticmethod
    def of_folders(folders: Sequence[Path]) -> "FontBook":
        """Find the fonts below `folders`.

        Raises:
            UsageError: None of them holds a font that can write Latin.
        """
        files = {
            path.name: path
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in {".ttf", ".otf", ".ttc"}
        }
        by_script: dict[str, list[Font]] = {}
        for _, path in sorted(files.items()):
            for script in _scripts_of(path):
                by_script.setdefault(script, []).append(Font(path, _is_fixed_width(path)))
        if "latin" not in by_script:
            looked = ", ".join(map(str, folders))
            raise UsageError(
                f"no font for Latin in {looked}; hint: apt-get install fonts-dejavu "
                "fonts-liberation fonts-noto-core, or --fonts FOLDER"
            )
        return FontBook(by_script)

    def choose(self, random: np.random.Generator, script: str, *, fixed: bool = False) -> Font:
        """A font for a script, of fixed width if there is one and it is asked for."""
        fonts = self.by_script[script]
        narrowed = [font for font in fonts if font.fixed_width] if fixed else fonts
        return one_of(random, narrowed or fonts)

    def choose_script(self, random: np.random.Generator) -> str:
        """A script that there are fonts for; Latin most of the time."""
        scripts = [script for script in _SHARES if script in self.by_script]
        shares = np.array([_SHARES[script] for script in scripts])
        return scripts[int(random.choice(len(scripts), p=shares / shares.sum()))]


@dataclass(frozen=True)
class Theme:
    """Colours that go together: `faint` for lines and boxes, `accents` for what stands out."""

    paper: Colour
    ink: Colour
    faint: Colour
    accents: list[Colour]


def random_theme(random: np.random.Generator) -> Theme:
    """A light, dark, tinted or pure black-and-white theme."""
    tint = random.integers(0, 18, 3)
    kind = random.choice(4, p=[0.45, 0.3, 0.15, 0.1])
    if kind == 3:
        light, dark = np.full(3, 255), np.zeros(3)
    elif kind == 2:
        light, dark = 200 + random.integers(0, 56, 3), random.integers(0, 90, 3)
    else:
        light, dark = 255 - tint, random.integers(0, 50, 3)
    paper, ink = (dark, light) if random.random() < (0.5 if kind == 3 else kind == 1) else (
        light, dark
    )  # fmt: skip
    share = random.uniform(0.12, 0.8)
    middle = 90 if np.mean(paper) > 128 else 180
    accents = [_rgb(middle + random.integers(-90, 75, 3)) for _ in range(5)]
    return Theme(_rgb(paper), _rgb(ink), _rgb(paper * (1 - share) + ink * share), accents)


def random_words(random: np.random.Generator, script: str, count: int) -> list[str]:
    """Words of random syllables of a script, numbers and signs among them."""
    words: list[str] = []
    for _ in range(count):
        if random.random() < 0.08 and script not in _LETTERS_ONLY:
            words.append(one_of(random, _BESIDE_WORDS))
            continue
        word = _random_word(random, script)
        case = random.random()
        word = word.upper() if case < 0.05 else word.capitalize() if case < 0.25 else word
        end = 1.0 if script in _LETTERS_ONLY else random.random()
        words.append(word + ("," if end < 0.08 else "." if end < 0.15 else ""))
    return words


class Canvas:
    """An image that is painted in layout px, each of them `unit` px to a side.

    Rectangles and straight lines have hard edges on whole px; text, discs and curves are
    anti-aliased in grey, unless `crisp_text` asks for text without.

    Args:
        width: Layout px.
        height: Layout px.
        unit: Px per layout px; a line is as many px wide.
        random: What painters draw from.
        fonts: What text is set in.
        crisp_text: Whether glyphs are black or white only.
    """

    def __init__(
        self, width: int, height: int, unit: int, random: np.random.Generator, fonts: FontBook,
        *, crisp_text: bool = False,
    ) -> None:  # fmt: skip
        self.box: Box = (0, 0, width, height)
        self.unit = unit
        self.random = random
        self.fonts = fonts
        self.image = Image.new("RGB", (width * unit, height * unit))
        self._draw = ImageDraw.Draw(self.image)
        self._draw.fontmode = "1" if crisp_text else "L"

    def fill(self, box: Box, colour: Colour) -> None:
        """Paint a box."""
        left, top, right, bottom = (side * self.unit for side in box)
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def outline(self, box: Box, colour: Colour) -> None:
        """Paint the edge of a box, one layout px wide, inside of it."""
        left, top, right, bottom = box
        for side in (
            (left, top, right, top + 1), (left, bottom - 1, right, bottom),
            (left, top, left + 1, bottom), (right - 1, top, right, bottom),
        ):  # fmt: skip
            self.fill(side, colour)

    def text(
        self, xy: tuple[float, float], text: str, font: Font, size: int, colour: Colour
    ) -> None:
        """Write a line of text, its top left at `xy`; `size` is its font's, in layout px."""
        at = (xy[0] * self.unit, xy[1] * self.unit)
        self._draw.text(at, text, fill=colour, font=_loaded(font.path, size * self.unit))

    def text_width(self, text: str, font: Font, size: int) -> float:
        """Layout px that a line of text takes."""
        return _loaded(font.path, size * self.unit).getlength(text) / self.unit

    def smooth(
        self, box: Box, colour: Colour, paint: Callable[[ImageDraw.ImageDraw, int], None]
    ) -> None:
        """Paint an anti-aliased shape into a box.

        Args:
            box: Where.
            colour: Of the shape.
            paint: Draws it in 255 into an empty mask; it is told how many of the mask's px make
                one layout px.
        """
        left, top, right, bottom = (side * self.unit for side in box)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", ((right - left) * _FINE, (bottom - top) * _FINE))
        paint(ImageDraw.Draw(mask), self.unit * _FINE)
        mask = mask.resize((right - left, bottom - top), Image.Resampling.BOX)
        self.image.paste(Image.new("RGB", mask.size, colour), (left, top), mask)

    def picture(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Paste pixels (h, w, 3), enlarged to fill a box."""
        left, top, right, bottom = (side * self.unit for side in box)
        size = (right - left, bottom - top)
        if min(size) > 0:
            enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
            self.image.paste(enlarged, (left, top))


def one_of(random: np.random.Generator, choices: Sequence[_T]) -> _T:
    """Draw one of several, all as likely."""
    return choices[int(random.integers(len(choices)))]


def inset(box: Box, by: int) -> Box:
    """A box without an edge of `by` layout px."""
    left, top, right, bottom = box
    return left + by, top + by, right - by, bottom - by


def _random_word(random: np.random.Generator, script: str) -> str:
    """One to four syllables of a script, or two to six of its characters."""
    if script in _CHARACTER_RANGES:
        codes = random.integers(*_CHARACTER_RANGES[script], int(random.integers(2, 7)))
        return "".join(chr(code) for code in codes)
    onsets, vowels = _SYLLABLES[script][0].split(), _SYLLABLES[script][1]
    syllables = int(random.integers(1, 5))
    word = "".join(one_of(random, onsets) + one_of(random, vowels) for _ in range(syllables))
    return word + (one_of(random, onsets) if random.random() < 0.5 else "")


def _scripts_of(path: Path) -> list[str]:
    """The scripts for which a font file has glyphs; none if it cannot be read."""
    try:
        font = ImageFont.truetype(path, 20)
        nothing = {_glyph(font, letter) for letter in " " + _UNASSIGNED}
        samples = {script: sounds + vowels for script, (sounds, vowels) in _SYLLABLES.items()}
        samples |= {script: chr(a) + chr(b) for script, (a, b) in _CHARACTER_RANGES.items()}
        return [
            script
            for script, letters in samples.items()
            if all(
                _glyph(font, letter) not in nothing
                for letter in letters.replace(" ", "") + ("" if script in _LETTERS_ONLY else _ASCII)
            )
        ]
    except OSError:
        return []


def _glyph(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    """Pixels of a letter."""
    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).text((8, 4), letter, 255, font)
    return image.tobytes()


def _is_fixed_width(path: Path) -> bool:
    font = ImageFont.truetype(path, 20)
    return font.getlength("il.") == font.getlength("MW@")


@cache
def _loaded(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def _rgb(values: NDArray[np.float64] | NDArray[np.int64]) -> Colour:
    red, green, blue = (int(value) for value in np.clip(values, 0, 255))
    return red, green, blue
