"""BMP as OS/2 wrote it: headers cut anywhere, runs of 24-bit colours."""

import struct
from pathlib import Path

import numpy as np
import pytest

from srcli.errors import UnreadableImage
from srcli.media import probe, read_image

RED, GREEN, BLUE = b"\0\0\xff", b"\0\xff\0", b"\xff\0\0"


def os2(header: int, bits: int, pixels: bytes, *, palette: bytes = b"", compression: int = 0):
    """A BMP of 3x2 with a header of OS/2's second version, of so many bytes."""
    details = struct.pack("<IiiHHII", header, 3, 2, 1, bits, compression, len(pixels))
    at = 14 + header + len(palette)
    head = b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at)
    return head + details.ljust(64, b"\0")[:header] + palette + pixels


def colours(path: Path) -> list[list[list[int]]]:
    image = read_image(path)
    info = probe(path)
    assert (info.width, info.height, info.channels) == (3, 2, image.channels)
    assert image.dropped == ()
    return image.pixels.tolist()


@pytest.mark.parametrize("header", [16, 24, 36, 48, 64])
def test_a_header_may_be_cut_anywhere(tmp_path: Path, header: int) -> None:
    path = tmp_path / "x.bmp"
    rows = [RED + GREEN + BLUE, BLUE * 3]
    path.write_bytes(os2(header, 24, b"".join(row + bytes(3) for row in rows)))
    assert colours(path) == [
        [[0, 0, 255]] * 3,
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    ]
    palette = b"".join(colour + b"\0" for colour in (RED, GREEN, BLUE)).ljust(1024, b"\0")
    path.write_bytes(os2(header, 8, b"\0\1\2\0\2\2\2\0", palette=palette))
    assert colours(path) == [
        [[0, 0, 255]] * 3,
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    ]


def test_runs_of_24_bit_colours(tmp_path: Path) -> None:
    path = tmp_path / "x.bmp"
    literal = b"\0\3" + RED + GREEN + BLUE + b"\0"  # padded to two bytes
    moved = b"\0\2\2\0" + b"\1" + GREEN
    path.write_bytes(os2(64, 24, literal + b"\0\0" + moved + b"\0\1", compression=4))
    assert colours(path) == [
        [[0, 0, 0], [0, 0, 0], [0, 255, 0]],
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    ]
    path.write_bytes(os2(64, 24, b"\x09" + RED + b"\0\0\3" + BLUE + b"\0\1", compression=4))
    assert colours(path) == [[[0, 0, 255]] * 3, [[255, 0, 0]] * 3]
    path.write_bytes(os2(64, 24, b"\3" + RED, compression=4))
    with pytest.raises(UnreadableImage, match="cut short"):
        read_image(path)


def test_huffman_codes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.bmp"
    path.write_bytes(os2(64, 1, bytes(np.arange(16, dtype=np.uint8)), compression=3))
    with pytest.raises(UnreadableImage, match=r"a kind of BMP \(OS/2's Huffman codes\)"):
        read_image(path)
