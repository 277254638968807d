"""Recognise folders that `visualize-mask` wrote, by their summary."""

import json
from pathlib import Path
from typing import cast

__all__ = ["SHEET", "SUMMARY", "files_of_masks", "is_mask_folder", "request_of_masks"]

SUMMARY = "summary.json"
"""Lists every file that we wrote into its folder."""

SHEET = "contact-sheet.png"
"""Names that every such folder holds."""

_KEYS = frozenset({"model", "effort", "scale", "window", "halted_windows", "dense_gflops"})
_LARGEST = 1 << 20  # bytes; ours has a few thousand


def is_mask_folder(folder: Path) -> bool:
    """Tell if `visualize-mask` wrote a folder: its summary has our keys and lists the sheet."""
    return bool(files_of_masks(folder))


def files_of_masks(folder: Path) -> frozenset[str]:
    """The files that `visualize-mask` wrote into a folder; none if the folder is not ours."""
    content = _summary(folder)
    listed = content.get("files")
    if not content.keys() >= _KEYS or not isinstance(listed, list):
        return frozenset()
    files = frozenset(name for name in cast("list[object]", listed) if isinstance(name, str))
    return files if {SHEET, SUMMARY} <= files else frozenset()


def request_of_masks(folder: Path) -> dict[str, object] | None:
    """Settings that a folder of masks was made with; None if an earlier srcli did not note them."""
    request = _summary(folder).get("request")
    return cast("dict[str, object]", request) if isinstance(request, dict) else None


def _summary(folder: Path) -> dict[str, object]:
    """Content of a folder's summary; empty if there is none that can be read."""
    try:
        path = folder / SUMMARY
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return {}
        summary: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", summary) if isinstance(summary, dict) else {}
