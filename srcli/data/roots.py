"""Where benchmark sets may lie on this machine."""

import os
from pathlib import Path

from srcli.user_folders import user_data

__all__ = ["data_roots"]


def data_roots(told: Path | None) -> list[Path]:
    """The folders to look in: what was told, else `SRCLI_DATA`, and always the user's own.

    `SRCLI_DATA` may name several, separated as in PATH.
    """
    own = user_data() / "datasets"
    if told is not None:
        return [told, own]
    named = os.environ.get("SRCLI_DATA", "").split(os.pathsep)
    return [*(Path(one) for one in named if one), own]
