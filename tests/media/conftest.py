"""Files of every kind, written without srcli: by hand, by Pillow, by tifffile or by FFmpeg."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
ADAM7 = (*ADAM7, (1, 0, 2, 1))


def _noise(channels: int, dtype: type = np.uint8, height: int = 23, width: int = 36) -> np.ndarray:
    top = np.iinfo(dtype).max
    generator = np.random.default_rng(channels)
    return generator.integers(0, top + 1, (height, width, channels), dtype)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png16(
    pixels: np.ndarray,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    rows: int | None = None,
) -> bytes:
    """A 16-bit PNG of unfiltered rows, optionally with fewer rows than its header says."""
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [pixels[r::dr, c::dc] for r, c, dr, dc in passes]
    lines = [b"\0" + line.astype(">u2").tobytes() for part in parts if part.size for line in part]
    data = zlib.compress(b"".join(lines[:rows]))
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced)
    halves = _chunk(b"IDAT", data[: len(data) // 2]) + _chunk(b"IDAT", data[len(data) // 2 :])
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + before
        + halves
        + after
        + _chunk(b"IEND", b"")
    )


def _icc(space: bytes, size: int = 0) -> bytes:
    """The header of a profile, which is all that copying one needs."""
    length = 128 + 4 + size
    return struct.pack(">I", length) + bytes(12) + space + b"XYZ " + bytes(length - 24)


def _cmyk_profile() -> bytes:
    """A CMYK profile that makes cyan Lab (50, -40, -40), other inks white, and key black."""
    fixed = [65536, 0, 0, 0, 65536, 0, 0, 0, 65536]
    ramp = bytes(range(256))
    nodes = b""
    for index in range(16):
        cyan, key = index >> 3 & 1, index & 1
        nodes += bytes((0, 128, 128) if key else (128, 88, 88) if cyan else (255, 128, 128))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + struct.pack(">9i", *fixed)
    table += ramp * 4 + nodes + ramp * 3
    table = table.ljust(-(-len(table) // 4) * 4, b"\0")
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = struct.pack(">I", 2) + b"A2B0" + struct.pack(">II", 156, len(table))
    tags += b"wtpt" + struct.pack(">II", 156 + len(table), len(white))
    header = struct.pack(">I4sI", 156 + len(table) + len(white), bytes(4), 0x02400000)
    header += b"prtrCMYKLab " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + table + white


def _exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with camera, orientation, pixel size, a maker note and a thumbnail."""
    thumbnail = b"\xff\xd8thumbnail\xff\xd9"
    note, make = b"maker note!!", b"Camera\0\0"

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        inline = struct.pack(order + "HH", value, 0) if kind == 3 else None
        return struct.pack(order + "HHI", tag, kind, count) + (
            inline or struct.pack(order + "I", value)
        )

    def directory(entries: list[bytes], following: int) -> bytes:
        return (
            struct.pack(order + "H", len(entries))
            + b"".join(entries)
            + struct.pack(order + "I", following)
        )

    details_at = 8 + 42
    make_at = details_at + 42
    note_at = make_at + len(make)
    second_at = note_at + len(note)
    thumbnail_at = second_at + 30
    main = [
        entry(271, 2, 7, make_at),
        entry(274, 3, 1, orientation),
        entry(34665, 4, 1, details_at),
    ]
    details = [entry(37500, 7, len(note), note_at), entry(40962, 3, 1, 36), entry(40963, 3, 1, 23)]
    second = [entry(513, 4, 1, thumbnail_at), entry(514, 4, 1, len(thumbnail))]
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return (
        magic
        + struct.pack(order + "I", 8)
        + directory(main, second_at)
        + directory(details, 0)
        + make
        + note
        + directory(second, 0)
        + thumbnail
    )


@pytest.fixture(name="noise")
def noise_fixture() -> Callable[..., np.ndarray]:
    return _noise


@pytest.fixture(name="png16")
def png16_fixture() -> Callable[..., bytes]:
    return _png16


@pytest.fixture(name="png_chunk")
def png_chunk_fixture() -> Callable[[bytes, bytes], bytes]:
    return _chunk


@pytest.fixture(name="icc")
def icc_fixture() -> Callable[..., bytes]:
    return _icc


@pytest.fixture(name="cmyk_profile")
def cmyk_profile_fixture() -> bytes:
    return _cmyk_profile()


@pytest.fixture(name="exif")
def exif_fixture() -> Callable[..., bytes]:
    return _exif


@pytest.fixture(name="corners")
def corners_fixture() -> np.ndarray:
    """A gray image of 16 × 32 whose four quarters differ, smooth enough for JPEG."""
    quarters = np.array([[0, 85], [170, 255]], np.uint8)
    return np.asarray(Image.fromarray(quarters).resize((32, 16), Image.Resampling.NEAREST))[
        ..., None
    ]
