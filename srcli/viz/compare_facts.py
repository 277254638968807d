"""Everything that the page of comparisons says about an input and its result."""

from dataclasses import dataclass
from pathlib import Path

from srcli.media import HDR_TRANSFERS, DecodedImage

__all__ = ["Pair", "amount_of", "facts_of", "sizes_of"]


@dataclass(frozen=True)
class Pair:
    """An input and its result.

    Args:
        name: To be shown.
        source: The input.
        target: The result.
        work: What it took, or why it was not made now.
        losses: What the result does not hold of the input, one line each; None if nobody noted it.
    """

    name: str
    source: Path
    target: Path
    work: str
    losses: tuple[str, ...] | None = ()


def sizes_of(before: DecodedImage, after: DecodedImage) -> str:
    """Sizes in px; the scale is that of the longer side."""
    longer = 0 if after.width >= after.height else 1
    scale = (after.width, after.height)[longer] / (before.width, before.height)[longer]
    return (
        f"{before.width}x{before.height} px → {after.width}x{after.height} px "
        f"(x{f'{scale:.2f}'.rstrip('0').rstrip('.')})"
    )


def facts_of(
    pair: Pair, before: DecodedImage, after: DecodedImage, shown: str
) -> list[tuple[str, str]]:
    """Headings and lines: the files, the work, what was kept and lost, and what is shown.

    Args:
        pair: The files.
        before: The input.
        after: The result.
        shown: Parts of the result that the page shows.
    """
    kept, missing = _compared(before, after)
    lost = [
        *(pair.losses or ()),
        *([f"not in the result: {', '.join(missing)}"] if missing else []),
    ]
    nothing = "the pixels" if missing else "the pixels; the input holds nothing else"
    noted = pair.losses is not None
    pages = len(before.later_pages) + before.left_out
    light = before.metadata.cicp is not None and before.metadata.cicp[1] in HDR_TRANSFERS
    notes = [
        shown,
        *(["HDR values as they are stored"] if light else []),
        *(["transparent parts over gray"] if before.has_alpha or after.has_alpha else []),
        *(["8 of 16 bits"] if 16 in (before.bits, after.bits) else []),
        *([f"the first of {pages + 1} pages or frames"] if pages else []),
    ]
    return [
        ("Input", _file(pair.source, before)),
        ("Result", _file(pair.target, after)),
        ("Work", pair.work),
        ("Kept", ", ".join(kept) or nothing),
        ("Lost", "; ".join(lost) or ("nothing" if noted else "nothing that the two files show")),
        ("Shown", "; ".join(notes)),
    ]


def _compared(before: DecodedImage, after: DecodedImage) -> tuple[list[str], list[str]]:
    """Properties of the input beyond 8-bit pixels: those that the result keeps, and those lost."""
    properties = [_properties(before), _properties(after)]
    kept = [name for name in properties[0] if name in properties[1]]
    return kept, [name for name in properties[0] if name not in properties[1]]


def _properties(image: DecodedImage) -> list[str]:
    metadata = image.metadata
    told = {
        "colour profile": metadata.icc,
        "EXIF": metadata.exif,
        "XMP": metadata.xmp,
        "IPTC": metadata.iptc,
        "comments": metadata.comments,
        "texts": metadata.texts,
        "resolution": metadata.dpi,
        "transparency": image.has_alpha,
        "16 bits": image.bits == 16,
    }
    return [name for name, there in told.items() if there]


def _file(path: Path, image: DecodedImage) -> str:
    kind = {1: "gray", 2: "gray and alpha", 3: "RGB", 4: "RGB and alpha"}[image.channels]
    size = path.stat().st_size
    amount = amount_of(size).replace(" ", "\N{NO-BREAK SPACE}")
    return f"{path.name}: {image.format.upper()}, {kind}, {image.bits} bits, {amount}"


def amount_of(size: int) -> str:
    """Bytes in words.

    >>> amount_of(85_300), amount_of(2_900_000)
    ('85 kB', '2.9 MB')
    """
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
