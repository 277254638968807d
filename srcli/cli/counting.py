"""A counter on stderr for what takes long before the first image: looking, planning, probing."""

import sys
import time

from srcli.cli.console import echo_line

__all__ = ["Counting"]

_SILENT_SECONDS = 0.7  # small batches begin without a line
_BETWEEN_LINES = 5.0
_BETWEEN_REDRAWS = 0.2


class Counting:
    """Says now and then how far a batch's preparations are; small batches are over before.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._redraws = quiet, sys.stderr.isatty()
        self._due = time.monotonic() + _SILENT_SECONDS
        self._counts: dict[str, int] = {}
        self._shown = False

    def count(self, what: str) -> None:
        """Count one more of `what`, such as "images found"."""
        number = self._counts[what] = self._counts.get(what, 0) + 1
        if self._quiet or time.monotonic() < self._due:
            return
        if self._redraws:
            sys.stderr.write(f"\r{number} {what} ...")
            sys.stderr.flush()
        else:
            echo_line(f"{number} {what} so far")
        self._shown = True
        self._due = time.monotonic() + (_BETWEEN_REDRAWS if self._redraws else _BETWEEN_LINES)

    def clear(self) -> None:
        """Leave the line to what follows."""
        if self._shown and self._redraws:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
