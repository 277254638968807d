"""Names as a terminal may see them: nothing in a name moves its cursor or ends a log's line."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

__all__ = ["echo_fields", "echo_line", "printable"]

_GAP = 2  # columns between a label and its value


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
    """Say one line on stderr."""
    click.echo(f"srcli: {printable(text)}", err=True)
