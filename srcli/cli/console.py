"""Text for the terminal: printable names, aligned fields, durations, and signs of life."""

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from srcli.heartbeat import Heartbeat
from srcli.host_memory import keep_freed_memory

__all__ = [
    "ProgressCounter",
    "echo_fields",
    "echo_line",
    "in_words",
    "loading",
    "megapixels_in_words",
    "open_file",
    "printable",
]

_GAP = 2  # columns between a label and its value
_SILENT_SECONDS = 0.7  # small batches begin without a line
_BETWEEN_LINES = 5.0
_BETWEEN_REDRAWS = 0.2
_OPENING_SECONDS = 5.0
_LOADING = "loading PyTorch"
_LOADING_SECONDS = 5.0  # a log gets a line only if it takes longer


def printable(text: str | Path) -> str:
    r"""The text, with everything that is no character to be seen written as its code.

    >>> print(printable("a\nb\x1b[31m"), printable("Zoë \udcff"))
    a\nb\x1b[31m Zoë \udcff
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text)
    )


def echo_fields(rows: Iterable[tuple[str, str]]) -> None:
    """Print labels and values on stdout, aligned and wrapped at spaces to the terminal's width.

    A word that is longer than a line, as a path may be, stays whole.
    """
    listed = list(rows)
    indent = max((len(label) for label, _ in listed), default=0) + _GAP
    columns = shutil.get_terminal_size().columns
    for label, value in listed:
        first, *others = _wrapped(printable(value), columns - indent)
        name = label + " " * (indent - len(label))
        click.echo((click.style(name, bold=True) + first).rstrip())
        for line in others:
            click.echo(" " * indent + line)


def _wrapped(text: str, columns: int) -> Iterator[str]:
    """Break a line at its spaces only, to at most `columns` where its words allow that."""
    from rich.cells import cell_len

    line = ""
    for word in text.split(" "):
        if line and cell_len(f"{line} {word}") > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def echo_line(text: str) -> None:
    """Print one line on stderr."""
    click.echo(f"srcli: {printable(text)}", err=True)


def in_words(seconds: float) -> str:
    """Whole seconds, minutes or hours.

    >>> [in_words(one) for one in (1.2, 600, 86400)]
    ['2 s', '10 min', '24.0 h']
    """
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def megapixels_in_words(megapixels: float) -> str:
    """Megapixels, with so many digits that small images are not 0.

    >>> megapixels_in_words(12.34), megapixels_in_words(0.006144)
    ('12.3 Mpx', '0.0061 Mpx')
    """
    return f"{megapixels:.1f} Mpx" if megapixels >= 1 else f"{megapixels:.2g} Mpx"


@contextmanager
def loading(*, quiet: bool = False) -> Generator[None]:
    """Set memory up for tensors, and show that a command has begun while its modules are imported.

    That takes some seconds. On a terminal the text vanishes at the end.
    """
    keep_freed_memory()
    if quiet:
        yield
    elif sys.stderr.isatty():
        sys.stderr.write(f"{_LOADING} ...")
        sys.stderr.flush()
        try:
            yield
        finally:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
    else:
        with Heartbeat(echo_line, _LOADING, _LOADING_SECONDS):
            yield


def open_file(path: Path) -> None:
    """Open a file with the desktop's program for it; a line if there is none."""
    if not _is_opened(path):
        echo_line(f"{path}: no program here opens it; hint: open it in a browser")


def _is_opened(path: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return click.launch(str(path)) == 0
    silent = subprocess.DEVNULL  # xdg-open names every browser that it does not find
    try:
        opener = subprocess.Popen(["xdg-open", path], stdin=silent, stdout=silent, stderr=silent)
        return opener.wait(_OPENING_SECONDS) == 0
    except subprocess.TimeoutExpired:  # a browser that it has become
        return True
    except OSError:
        return False


class ProgressCounter:
    """Counts a batch's preparations on stderr: files found, outputs planned, headers read.

    Small batches are prepared before the first line is due.

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
        """Clear the counter's line."""
        if self._shown and self._redraws:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
