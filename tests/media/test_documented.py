"""The table of docs/formats.md says what each format holds, as the code has it."""

from pathlib import Path

from srcli.media import FORMATS
from srcli.media.format import Format

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
COLUMNS = {
    "profile": "icc", "EXIF": "exif", "XMP": "xmp", "IPTC": "iptc", "resolution, aspect": "dpi",
    "JPEG comments": "comments", "PNG texts": "texts", "gAMA, cHRM": "colour",
    "colours by number": "cicp",
}  # fmt: skip


def row(format: Format) -> str:
    """A format's row: kept, converted, or dropped with a line."""
    held = ["kept" if field in format.keeps else "line" for field in COLUMNS.values()]
    if "colour" not in format.keeps and "icc" in format.keeps:
        held[-2] = "profile"
    if "cicp" not in format.keeps and "icc" in format.keeps:
        held[-1] = "profile"
    bits = "16" if format.deep else "8, line"
    alpha = "kept" if format.alpha else "on white, line"
    gray = "kept" if format.gray else "RGB"
    cells = (format.name, *held, alpha, bits, gray, str(format.max_side))
    return f"| {' | '.join(cells)} |"


def test_the_table_of_what_is_kept_is_the_formats_own():
    text = DOCS.read_text("utf-8")
    head = " | ".join(("", *COLUMNS, "alpha", "bits", "gray", "largest side"))
    expected = [f"|{head} |", *(row(format) for format in FORMATS.values())]
    missing = [line for line in expected if line not in text]
    assert not missing, "docs/formats.md lacks:\n" + "\n".join(missing)
