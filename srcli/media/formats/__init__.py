"""The image formats: one file or package each, found by its `FORMAT`."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from srcli.media.format import Format, FormatError

__all__ = ["FORMATS", "format_of_name", "holds_pages", "is_image_name", "recognise", "suffix_of"]


def _registry() -> dict[str, Format]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    formats: list[Format] = [module.FORMAT for module in modules]
    return {format.name: format for format in sorted(formats, key=lambda format: format.name)}


FORMATS = _registry()
"""All formats by their names, sorted."""


def format_of_name(path: Path) -> str | None:
    """The format that a file's suffix stands for, None if it is no image's.

    >>> format_of_name(Path("holiday.JPG"))
    'jpeg'
    """
    suffix = path.suffix.lower()
    return next((f.name for f in FORMATS.values() if suffix in f.suffixes), None)


def holds_pages(format: str) -> bool:
    """Tell if a file of a format can hold several images, each with its own metadata."""
    return FORMATS[format].paged is not None


def is_image_name(path: Path) -> bool:
    """Tell if the suffix is one of an image that srcli reads.

    >>> is_image_name(Path("holiday.JPG")), is_image_name(Path("notes.txt"))
    (True, False)
    """
    return format_of_name(path) is not None


def suffix_of(format: str) -> str:
    """The usual suffix of a format.

    >>> suffix_of("jpeg")
    '.jpg'
    """
    return FORMATS[format].suffixes[0]


def recognise(head: bytes) -> Format:
    """The format of a file from its first 16 bytes; its name is not asked.

    Raises:
        FormatError: No format begins so.
    """
    for format in FORMATS.values():
        if format.recognises(head):
            return format
    names = ", ".join(FORMATS)
    raise FormatError(f"not a supported image ({names}); hint: convert it with another program")
