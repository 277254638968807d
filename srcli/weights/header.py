"""The header of a safetensors file, held against the file before any tensor is read.

A file is 8 bytes that say how long its header is, the header (JSON: each tensor's type, shape and
place), and the tensors one after the other.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from srcli.errors import WeightsError
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["Header", "Shape", "TensorInfo", "parse_header", "read_header"]

Shape = tuple[int, ...]

_LONGEST_HEADER = 10_000_000  # bytes; srcli's own take 20 kB
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
          "U8": 1, "BOOL": 1}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's type as safetensors names it, its shape, and its bytes [begin, end)."""

    dtype: str
    shape: Shape
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """All tensors by name, and the file's notes."""

    tensors: Mapping[str, TensorInfo]
    notes: Mapping[str, str]

    @property
    def shapes(self) -> dict[str, Shape]:
        """The tensors' shapes by name."""
        return {name: info.shape for name, info in self.tensors.items()}

    @property
    def for_spandrel(self) -> bool:
        """True if the names are those that spandrel's networks have."""
        return self.notes.get("model") == COMMUNITY


def read_header(path: Path) -> Header:
    """Read and check the header of a file, and nothing else of it.

    Raises:
        WeightsError: It cannot be read, or contradicts its header.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            start = file.read(min(length, _LONGEST_HEADER))
        return parse_header(length.to_bytes(8, "little") + start, path.stat().st_size, str(path))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error


def parse_header(content: bytes, size: int, name: str) -> Header:
    """Check the header that a file begins with.

    Args:
        content: The file's beginning, at least to the end of the header.
        size: Bytes of the whole file.
        name: For messages.

    Raises:
        WeightsError: It is no header, or what it says does not fit the file: types, shapes,
            places, or sizes in all.
    """
    length = int.from_bytes(content[:8], "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise _bad(name, f"its header claims {length} bytes")
    try:
        table = json.loads(content[8 : 8 + length], object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a name twice
        raise _bad(name, f"its header is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise _bad(name, "its header is no table")
    entries = cast("dict[str, Any]", table)
    notes: object = entries.pop("__metadata__", {})
    tensors = {key: _tensor(name, key, value) for key, value in entries.items()}
    _check_places(name, tensors, size - 8 - length)
    return Header(tensors, cast("dict[str, str]", notes) if isinstance(notes, dict) else {})


def _tensor(file: str, key: str, value: object) -> TensorInfo:
    """One entry of the header; its bytes must be what its shape takes."""
    try:
        given = cast("dict[str, Any]", value)
        dtype, shape, (begin, end) = given["dtype"], given["shape"], given["data_offsets"]
        width = _BYTES[dtype]
        numbers: list[object] = [*shape, begin, end]
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(file, f"{key[:80]} has no proper type, shape and place") from error
    if any(type(n) is not int or n < 0 for n in numbers):
        raise _bad(file, f"{key[:80]} has sizes that are not whole numbers")
    if end - begin != math.prod(shape) * width:
        raise _bad(
            file, f"{key[:80]} takes {end - begin} bytes, its shape {shape} of {dtype} needs others"
        )
    return TensorInfo(dtype, tuple(shape), begin, end)


def _check_places(file: str, tensors: Mapping[str, TensorInfo], size: int) -> None:
    """The tensors follow each other without gap or overlap, to the end of the file."""
    at = 0
    for key, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin != at:
            raise _bad(file, f"{key[:80]} begins at byte {info.begin}, not {at}")
        at = info.end
    if at != size:
        raise _bad(file, f"its tensors take {at} bytes, the file has {size}")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name appears twice")
    return table


def _bad(file: str, reason: str) -> WeightsError:
    return WeightsError(f"{file}: not a safetensors file: {reason}; get it again")
