"""Read lists of inputs, as `find -print0`, editors and PowerShell write them."""

import codecs
import os
from pathlib import Path

from srcli.url_paths import path_of

__all__ = ["read_file_list"]

_MARKS = (  # those of UTF-32 begin with those of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNMARKED = (("utf-16-le", slice(1, None, 2)), ("utf-16-be", slice(0, None, 2)))
"""UTF-16 without a byte-order mark, and where its zeros are in ASCII text."""


def read_file_list(content: bytes) -> list[Path]:
    """Read the paths and URLs in a list, one a line, or NUL-separated where it holds a NUL.

    Empty ones are left out. A byte-order mark says how the text is encoded; without one it is
    bytes as the file system has them, which need not be text, or UTF-16 if every line looks so.

    Args:
        content: The list.
    """
    content = _in_file_system_bytes(content)
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [path_of(os.fsdecode(part)) for part in parts if part.strip()]


def _in_file_system_bytes(content: bytes) -> bytes:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            if encoding == "utf-8-sig":  # what follows need not be text
                return content[len(mark) :]
            return os.fsencode(content.decode(encoding, "replace"))
    for encoding, zeros in _UNMARKED:
        if b"\n" in content and len(content) % 2 == 0 and _looks_wide(content, zeros):
            return os.fsencode(content.decode(encoding, "replace"))
    return content


def _looks_wide(content: bytes, zeros: slice) -> bool:
    """Tell if the bytes are UTF-16, mostly of ASCII: one in two is zero, and only such ones are.

    A list with NUL between its names has none at these places alone unless each name is a letter.
    """
    here, others = content[zeros], content[slice(1 - (zeros.start or 0), None, 2)]
    return here.count(0) > len(here) // 2 and 0 not in others
