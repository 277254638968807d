"""Text as a terminal may see it: nothing in a name moves its cursor or ends a log's line."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

__all__ = ["echo_line", "print_pairs", "printable"]


def printable(text: str | Path) -> str:
    r"""The text, with everything that is no character to be seen written as its code.

    >>> print(printable("a\nb\x1b[31m"), printable("Zoë \udcff"))
    a\nb\x1b[31m Zoë \udcff
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text)
    )


def echo_line(text: str) -> None:
    """Say one line on stderr."""
    click.echo(f"srcli: {printable(text)}", err=True)


def print_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print keys and values in two columns on stdout, for the width of the terminal.

    Values are wrapped between words; a word that is longer than a line, as a path may be, stays
    whole, so that it can be copied.
    """
    indent = max((len(key) for key, _ in rows), default=0) + 2
    width = max(shutil.get_terminal_size().columns, indent + 20)
    for key, value in rows:
        lines = textwrap.wrap(value, width - indent, break_long_words=False, break_on_hyphens=False)
        first, *others = lines or [""]
        click.echo(f"{click.style(f'{key:<{indent}}', bold=True)}{first}".rstrip())
        for line in others:
            click.echo(" " * indent + line)
