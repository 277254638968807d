"""Show weights: a table, lines, JSON."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from srcli.cli.console import echo_fields
from srcli.weights import Source, WeightsEntry, how_to_get
from srcli.weights.catalogue import forbids_commerce
from srcli.weights.local_files import file_of, is_here, record_of

__all__ = ["print_entries", "print_json", "print_lines", "print_table", "state_of"]

_ENDLESS = 10_000  # columns
_WIDE = ("-m", "published")  # columns of wide terminals alone
_SET = "Set5"  # its PSNR-Y is in the table, as the one that all papers give


def state_of(entry: WeightsEntry) -> str:
    """Availability of the weights, in a word or two."""
    here = is_here(entry)
    if entry.source is Source.DOWNLOAD:
        return "downloaded" if here else "available"
    if entry.source is Source.BY_HAND:
        return "by hand"
    if not here:
        return "missing"
    return "bundled" if entry.source is Source.BOX else "yours"


def print_table(entries: Sequence[WeightsEntry]) -> None:
    """Print a line for each; columns that a narrow terminal has no room for are left out."""
    console, endless = Console(), Console(width=_ENDLESS)
    table = _table(entries, left_out=())
    if endless.measure(table).maximum > console.width:
        table = _table(entries, left_out=_WIDE)
        console.width = max(console.width, endless.measure(table).minimum)  # a name is never cut
    console.print(table, markup=False, highlight=False)


def _table(entries: Sequence[WeightsEntry], *, left_out: Sequence[str]) -> Table:
    """The list; what has spaces is folded first, names never."""
    table = Table(box=None, pad_edge=False)
    headers = ("name", "-m", "scale", "state", "size", f"{_SET} dB", "published", "licence")
    columns = [header for header in headers if header not in left_out]
    for header in columns:
        table.add_column(header, no_wrap=header != "licence", overflow="fold")
    for entry in entries:
        cells = (
            entry.name,
            entry.variant or entry.model,
            f"x{entry.scale}",
            state_of(entry),
            _size(entry.size),
            _figure(entry.psnr_y),
            _figure(entry.psnr_published),
            entry.licence.partition(" (")[0],
        )
        shown = zip(headers, cells, strict=True)
        table.add_row(*(cell for header, cell in shown if header in columns))
    return table


def print_entries(entries: Sequence[WeightsEntry], *, as_json: bool) -> None:
    """Print all that is known of each."""
    if as_json:
        print_json(entries)
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        print_lines(_lines(entry))


def print_json(entries: Sequence[WeightsEntry]) -> None:
    """A list of all entries, with state and path."""
    click.echo(json.dumps([_fields(entry) for entry in entries], indent=2))


def print_lines(lines: Mapping[str, str]) -> None:
    """Names and values, aligned; empty values are left out."""
    echo_fields((name, value) for name, value in lines.items() if value)


def _fields(entry: WeightsEntry) -> dict[str, object]:
    fields = dataclasses.asdict(entry)
    del fields["folder"]
    path = str(file_of(entry)) if is_here(entry) else None
    state = state_of(entry)
    return {**fields, "state": "in the box" if state == "bundled" else state, "path": path}


def _lines(entry: WeightsEntry) -> dict[str, str]:
    here = is_here(entry)
    return {
        "name": entry.name,
        "network": ", also ".join([entry.architecture or entry.model, *entry.also_for]),
        "scale": f"x{entry.scale}",
        "-m": entry.variant or entry.model,
        "state": state_of(entry),
        "file": str(file_of(entry)) if here else "",
        "to get it": "" if here else how_to_get(entry),
        "size": _size(entry.size) if entry.size else "not known",
        "sha256": entry.sha256 or "not known",
        "git blob": entry.git_blob,
        "verified by": _verified_by(entry),
        "licence": entry.licence
        + (" (non-commercial use only)" if forbids_commerce(entry.licence) else ""),
        "trained on": entry.training_data,
        "teacher": entry.teacher,
        "origin": entry.origin,
        "address": " ".join(entry.urls) or entry.page,
        "page": entry.page if entry.urls else "",
        "measured": _listed(entry.psnr_y, f"dB ({entry.psnr_protocol})"),
        "published": _listed(entry.psnr_published, f"dB ({entry.published_by})"),
    }


def _verified_by(entry: WeightsEntry) -> str:
    """By what it is known to be the file that is meant."""
    if not entry.converted:
        return ""
    record = record_of(entry)
    if entry.hash_published:
        return f"the published {'sha256' if entry.sha256 else 'git blob'}; then converted"
    if record is not None:
        return f"sha256 of the first download, {record.sha256}; then converted"
    return "its structure, with --trust-first; from then on the sha256 of the first download"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else "-"


def _figure(figures: Mapping[str, float]) -> str:
    return f"{figures[_SET]:.2f}" if _SET in figures else "-"


def _listed(figures: Mapping[str, float], after: str = "") -> str:
    listed = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
    return f"{listed} {after}".strip() if listed else ""
