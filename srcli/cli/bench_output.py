"""Where the results of `srcli bench` go."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as RichTable

from srcli.benchmark.plot import draw_run
from srcli.benchmark.results import Run, read_run, to_csv, to_json
from srcli.benchmark.tables import (
    Table,
    compare_table,
    markdown,
    picture_table,
    sparsity_table,
    summary_tables,
)
from srcli.errors import UsageError

__all__ = ["Files", "compared", "deliver", "print_tables"]


@dataclass(frozen=True)
class Files:
    """Files to write; None: not wanted. JSON goes to stdout, instead of tables, as `-`."""

    json: Path | None
    csv: Path | None
    markdown: Path | None
    plot: Path | None

    def check(self) -> None:
        """Make sure, before anything is measured, that they can be written.

        Raises:
            UsageError: One cannot, as far as can be seen without writing it.
        """
        to_stdout = self.json == Path("-")
        for path in (None if to_stdout else self.json, self.csv, self.markdown, self.plot):
            if path is not None and (reason := _unwritable(path)):
                raise UsageError(f"cannot write {path}: {reason}")


def _unwritable(path: Path) -> str:
    """Why a file cannot be written; "" if nothing is known against it."""
    folder = path.parent
    if path.is_dir():
        return "it is a folder; name a file in it"
    if not folder.is_dir():
        return f"there is no folder {folder}; make it first"
    needed = (path, os.W_OK) if path.exists() else (folder, os.W_OK | os.X_OK)
    return "" if os.access(*needed) else f"you may not write {needed[0]}; name another place"


def deliver(run: Run, files: Files, *, pictures: bool) -> None:
    """Show the tables, with a line for each picture if wanted, and write the files.

    Raises:
        UsageError: A file cannot be written.
    """
    sparsity = sparsity_table(run)
    tables = [*summary_tables(run), *([sparsity] if sparsity else [])]
    if pictures:
        tables.append(picture_table(run))
    if files.json == Path("-"):
        click.echo(to_json(run), nl=False)
    else:
        print_tables(tables)
        _write(files.json, lambda path: path.write_text(to_json(run), encoding="utf-8"))
    _write(files.csv, lambda path: path.write_text(to_csv(run), encoding="utf-8"))
    _write(files.markdown, lambda path: path.write_text(markdown(tables), encoding="utf-8"))
    _write(files.plot, lambda path: draw_run(run, path))


def _write(path: Path | None, write: Callable[[Path], object]) -> None:
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def compared(before: Path, after: Path) -> Table:
    """What moved from one run's JSON to another's."""

    def read(path: Path) -> Run:
        try:
            return read_run(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error

    return compare_table(read(before), read(after))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables to stdout."""
    console = Console()
    for table in tables:
        shown = RichTable(title=table.title, title_justify="left", title_style="bold", box=None)
        for number, header in enumerate(table.headers):
            shown.add_column(header, justify="right" if number else "left", overflow="fold")
        for row in table.cells:
            shown.add_row(*row)
        console.print(shown, markup=False, highlight=False)
        if not table.cells:
            console.print("nothing")
