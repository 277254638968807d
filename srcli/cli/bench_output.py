"""Where the results of `srcli bench` go."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable

from srcli.atomic import atomic_file
from srcli.benchmark.plot import draw_run
from srcli.benchmark.results import Run, read_run, to_csv, to_json
from srcli.benchmark.tables import (
    Table,
    compare_table,
    image_table,
    markdown,
    sparsity_table,
    summary_tables,
)
from srcli.cli.console import printable
from srcli.errors import UsageError

__all__ = ["Files", "compared", "deliver", "print_tables"]

_PADDING = 2  # columns of the terminal on both sides of a table's column


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
        return "it is a folder; hint: name a file in it"
    if not folder.is_dir():
        return f"there is no folder {folder}; hint: make it first"
    needed = [(path, os.W_OK)] if path.exists() else []
    if _is_replaced(path):
        needed.append((path.resolve().parent, os.W_OK | os.X_OK))
    refused = [place for place, mode in needed if not os.access(place, mode)]
    return f"you may not write {refused[0]}; hint: name another place" if refused else ""


def _is_replaced(path: Path) -> bool:
    """Tell if a new file takes that name; not of /dev/null, or a pipe."""
    return path.is_file() or not path.exists()


def deliver(run: Run, files: Files, *, pictures: bool) -> None:
    """Show the tables, with a line for each image if wanted, and write the files.

    Each file is written whole or not at all; one that cannot be leaves an older one as it was,
    and the others are written.

    Raises:
        UsageError: A file cannot be written.
    """
    sparsity = sparsity_table(run)
    tables = [*summary_tables(run), *([sparsity] if sparsity else [])]
    if pictures:
        tables.append(image_table(run))
    if to_stdout := files.json == Path("-"):
        click.echo(to_json(run), nl=False)
    else:
        print_tables(tables)
    failures = [
        _failure(None if to_stdout else files.json, lambda file: file.write(to_json(run).encode())),
        _failure(files.csv, lambda file: file.write(to_csv(run).encode())),
        _failure(files.markdown, lambda file: file.write(markdown(tables).encode())),
        _failure(files.plot, lambda file: draw_run(run, file)),
    ]
    if any(failures):
        raise UsageError("; ".join(filter(None, failures)))


def _failure(path: Path | None, write: Callable[[IO[bytes]], object]) -> str:
    """Write a file if asked for; return why that failed, or ""."""
    if path is None:
        return ""
    try:
        with atomic_file(path.resolve()) if _is_replaced(path) else path.open("wb") as file:
            write(file)
    except OSError as error:
        return f"cannot write {path}: {error.strerror or error}"
    return ""


def compared(before: Path, after: Path) -> Table:
    """Differences between two runs' JSON files."""

    def read(path: Path) -> Run:
        try:
            return read_run(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error

    return compare_table(read(before), read(after))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables to stdout; one that is wider than the terminal in several parts."""
    console = Console()
    for table in tables:
        console.print(printable(table.title), style="bold", markup=False, highlight=False)
        for columns in _parts(table, console.width):
            _print_part(console, table, columns)
        if not table.cells:
            console.print("nothing")


def _print_part(console: Console, table: Table, columns: Sequence[int]) -> None:
    """Print some columns; headers are wrapped where the terminal is narrow, cells never are."""
    shown = RichTable(box=None)
    widths = [_width(table, column) for column in columns]
    for column in columns:
        justify = "right" if column >= table.keys else "left"
        shown.add_column(table.headers[column], justify=justify)
    for row in table.cells:
        shown.add_row(*(printable(row[column]) for column in columns))
    if console.measure(shown).maximum >= console.width:
        for column, width in zip(shown.columns, widths, strict=True):
            column.width = width
    console.width = max(console.width, sum(widths) + _PADDING * len(widths))
    console.print(shown, markup=False, highlight=False)


def _parts(table: Table, width: int) -> Iterator[list[int]]:
    """Columns that fit into `width` together, each time after those that name the row."""
    keys = list(range(table.keys))
    used = sum(_width(table, column) + _PADDING for column in keys)
    room, columns = width - used, list[int]()
    for column in range(table.keys, len(table.headers)):
        needed = _width(table, column) + _PADDING
        if columns and needed > room:
            yield keys + columns
            room, columns = width - used, []
        columns.append(column)
        room -= needed
    yield keys + columns


def _width(table: Table, column: int) -> int:
    """Columns of the terminal that a column needs, without its padding: no word is broken."""
    words = table.headers[column].split()
    cells = [printable(row[column]) for row in table.cells]
    return max(map(cell_len, [*words, *cells]))
