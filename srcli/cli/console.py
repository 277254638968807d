"""Names as a terminal may see them: nothing in a name moves its cursor or ends a log's line."""

from pathlib import Path

import click

__all__ = ["echo_line", "printable"]


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
