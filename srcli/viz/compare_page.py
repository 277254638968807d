"""One HTML page with a slider between bicubic and result for each image of a run.

It needs nothing else and fetches nothing. It is written image by image: no more than one input
and its result are in memory.
"""

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

from PIL import Image

from srcli.atomic import atomic_file
from srcli.errors import InputError, UnwritableImage
from srcli.media import DecodedImage
from srcli.viz.compare_crops import (
    Region,
    bicubic_crop,
    choose_regions,
    result_crop,
    srgb_conversion,
    thumbnail,
)
from srcli.viz.compare_facts import Pair, facts_of, sizes_of

__all__ = ["LARGEST_COUNT", "Page", "Pair", "refuse_foreign_page", "write_page"]

LARGEST_COUNT = 20
"""Images on a page."""

_SEVERAL_DETAILS = 3  # of each image, if there are few; about 0.3 MB each
_FEW = 6  # images

_GENERATOR = "srcli upscale --compare"
_MARK = f'<meta name="generator" content="{_GENERATOR}">'.encode()
_HEAD_BYTES = 512  # within which the mark stands
_QUALITY = 90  # of the details, as WebP
_THUMBNAIL_QUALITY = 80

Read = Callable[[Path], DecodedImage]


@dataclass(frozen=True)
class Page:
    """Everything that a page shows.

    Args:
        title: Its heading.
        lines: About the run, below the heading.
        pairs: Images to show.
        failed: Inputs without a result, and why, one line each.
    """

    title: str
    lines: Sequence[str]
    pairs: Sequence[Pair]
    failed: Sequence[str] = field(default=())


def refuse_foreign_page(path: Path) -> None:
    """Fail unless a page may be written under a name.

    Raises:
        UnwritableImage: Something is there that is not such a page, or a link.
    """
    if path.is_symlink():
        raise UnwritableImage(f"{path}: is a link; hint: remove it")
    if not path.exists():
        return
    try:
        with path.open("rb") as stream:
            ours = _MARK in stream.read(_HEAD_BYTES)
    except OSError:
        ours = False
    if not ours:
        raise UnwritableImage(
            f"{path}: exists, and was not made by {_GENERATOR}; hint: move or rename it"
        )


def write_page(
    path: Path,
    page: Page,
    read_input: Read,
    read_result: Read,
    on_pair: Callable[[], None] = lambda: None,
) -> None:
    """Write a page; it replaces an earlier one once it is whole.

    Args:
        path: Its name.
        page: What it shows.
        read_input: Decodes an input.
        read_result: Decodes a result.
        on_pair: Called after each pair.

    Raises:
        UnwritableImage: Something else has the name, or the disk refuses.
    """
    template = files("srcli.viz").joinpath("compare.html").read_text("utf-8")
    head, _, tail = template.partition("<!-- images -->")
    lines = "".join(f"<p>{_text(line)}</p>\n" for line in page.lines)
    filled = Template(head).substitute(generator=_GENERATOR, title=_text(page.title), lines=lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, before_rename=lambda _: refuse_foreign_page(path)) as stream:
            stream.write(filled.encode())
            details = _SEVERAL_DETAILS if len(page.pairs) <= _FEW else 1
            for number, pair in enumerate(page.pairs, start=1):
                stream.write(_article(number, pair, details, read_input, read_result).encode())
                on_pair()
            stream.write((_failures(page.failed) + tail).encode())
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableImage(
            f"{path}: {reason}; hint: the results are whole; make room, or use another -o"
        ) from error


def _article(number: int, pair: Pair, details: int, read_input: Read, read_result: Read) -> str:
    """One pair, or a line that says why it cannot be shown."""
    try:
        before, after = read_input(pair.source), read_result(pair.target)
        _require_enlargement(before, after)
        return _pair(number, pair, details, before, after)
    except (InputError, MemoryError) as error:
        reason = str(error) or "not enough memory"
        return (
            f'<article class="trouble"><h2>{_text(pair.name)}</h2>'
            f"<p>Cannot be shown: {_text(reason)}</p></article>\n"
        )


def _require_enlargement(before: DecodedImage, after: DecodedImage) -> None:
    """Fail if the shapes differ by more than rounding.

    Raises:
        InputError: They do.
    """
    skew = abs(after.width * before.height - after.height * before.width)
    if skew > before.width + before.height:
        raise InputError(
            f"the result is {after.width}x{after.height} px, which is no enlargement of "
            f"{before.width}x{before.height} px"
        )


def _pair(number: int, pair: Pair, most: int, before: DecodedImage, after: DecodedImage) -> str:
    width, height = after.width, after.height
    regions = choose_regions(before.pixels, width, height, most)
    input_srgb, result_srgb = srgb_conversion(before), srgb_conversion(after)
    details = "".join(
        f'<div class="detail" data-width="{region.width}" data-height="{region.height}"'
        f"{' hidden' if n else ''}>"
        f'<img alt="result" src="{_webp(result_srgb(result_crop(after.pixels, region)))}">'
        '<img alt="bicubic enlargement" src="'
        f'{_webp(input_srgb(bicubic_crop(before.pixels, region, width, height)))}"></div>\n'
        for n, region in enumerate(regions)
    )
    whole = len(regions) == 1 and (regions[0].width, regions[0].height) == (width, height)
    small = "" if whole else _map(input_srgb(thumbnail(before.pixels)), regions, width, height)
    places = "its most textured place" if len(regions) == 1 else f"{len(regions)} textured places"
    size = f"{regions[0].width}x{regions[0].height} px"
    shown = "the whole result" if whole else f"{places} of {size}"
    shown = f"{shown}, in sRGB, as WebP of quality {_QUALITY}"
    name, label = _text(pair.name), f"name-{number}"
    return (
        f'<article class="pair" aria-labelledby="{label}">\n'
        f'<h2 id="{label}">{name}</h2>\n<p>{_text(sizes_of(before, after))}</p>\n'
        f'<div class="row"><div>\n<div class="frame">{details}'
        '<div class="divider"></div><span class="tag left">bicubic</span>'
        '<span class="tag right">srcli</span></div>\n'
        '<div class="controls"><input type="range" min="0" max="100" value="50" '
        f'aria-label="{name}: bicubic left of the line, the result right of it">'
        '<button type="button" class="flip">Flip</button></div>\n'
        f"</div>\n<div>\n{small}{_facts(pair, before, after, shown)}"
        "</div></div>\n</article>\n"
    )


def _map(small: Image.Image, regions: Sequence[Region], width: int, height: int) -> str:
    """The whole image with a button at each region."""
    buttons = "".join(
        f'<button type="button" aria-label="Detail {n}" aria-pressed="false" style="'
        f"left:{region.left / width:.2%};top:{region.top / height:.2%};"
        f"width:{region.width / width:.2%};height:{region.height / height:.2%}"
        f'"><span>{n}</span></button>'
        for n, region in enumerate(regions, start=1)
    )
    uri = _webp(small, _THUMBNAIL_QUALITY)
    return f'<div class="map"><img alt="the whole image" src="{uri}">{buttons}</div>\n'


def _facts(pair: Pair, before: DecodedImage, after: DecodedImage, shown: str) -> str:
    rows = "".join(
        f"<dt>{name}</dt><dd>{_text(text)}</dd>\n"
        for name, text in facts_of(pair, before, after, shown)
    )
    return f"<dl>{rows}</dl>"


def _failures(failed: Sequence[str]) -> str:
    if not failed:
        return ""
    rows = "".join(f"<li>{_text(line)}</li>" for line in failed)
    return f'<article class="trouble"><h2>Failed</h2><ul>{rows}</ul></article>\n'


def _text(text: str) -> str:
    """Text as HTML has it; names need not be text, nor characters to be seen."""
    seen = (
        c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else c.encode("unicode_escape").decode()
        for c in text
    )
    return html.escape("".join(seen))


def _webp(image: Image.Image, quality: int = _QUALITY) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=quality, method=4, use_sharp_yuv=True)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
