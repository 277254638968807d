"""Show models of OpenModelDB: a table of those found, lines about one, JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from srcli.cli.console import echo_line
from srcli.cli.weights_output import print_lines
from srcli.transfer.policy import Policy
from srcli.weights.catalogue import CatalogueModel, forbids_commerce
from srcli.weights.manifest import CATALOGUE
from srcli.weights.openmodeldb import Catalogue, read_catalogue

__all__ = ["print_found", "print_model", "read_and_say"]

_ENDLESS = 10_000  # columns


def read_and_say(*, offline: bool) -> Catalogue:
    """Read the catalogue; a line says so if it could not be brought up to date."""
    catalogue = read_catalogue(Policy.of_environment(offline=offline))
    if catalogue.stale:
        date = f"{catalogue.date:%Y-%m-%d}"
        echo_line(f"OpenModelDB's catalogue of {date} is used: {catalogue.stale}")
    return catalogue


def print_found(found: Sequence[CatalogueModel], catalogue: Catalogue, *, as_json: bool) -> None:
    """Print a line for each model, those first that can be downloaded."""
    if as_json:
        click.echo(json.dumps([_fields(model) for model in found], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for header in ("model", "scale", "architecture", "size", "get it", "licence"):
        table.add_column(header, no_wrap=header != "licence", overflow="fold")
    for model in found:
        resource = model.resource
        direct = resource is not None and resource.direct
        table.add_row(
            f"{CATALOGUE}{model.id}",
            f"x{model.scale}",
            model.architecture,
            _size(model),
            "-m" if direct else "by hand",
            _licence(model),
        )
    console = Console()
    console.width = max(console.width, Console(width=_ENDLESS).measure(table).minimum)
    console.print(table, markup=False, highlight=False)
    click.echo(
        f"{len(found)} of {len(catalogue.models)} models of OpenModelDB, {catalogue.date:%Y-%m-%d}",
        err=True,
    )


def print_model(model: CatalogueModel, *, as_json: bool) -> None:
    """Print all that the catalogue says of a model, as far as srcli uses it."""
    if as_json:
        click.echo(json.dumps(_fields(model), indent=2))
        return
    resource = model.resource
    direct = resource is not None and resource.direct
    by_hand = f"get it from its page, then srcli weights import FILE --name {model.id}"
    print_lines(
        {
            "name": model.name,
            "ID": f"{CATALOGUE}{model.id}",
            "by": ", ".join(model.authors),
            "architecture": model.architecture,
            "scale": f"x{model.scale}",
            "licence": _licence(model),
            "tags": ", ".join(model.tags),
            "size": _size(model),
            "sha256": (resource.sha256 if resource else "") or "not known",
            "address": " ".join((*resource.urls, *resource.pages)) if resource else "",
            "page": model.page,
            "to use it": f"srcli upscale -m {CATALOGUE}{model.id}" if direct else by_hand,
        }
    )


def _fields(model: CatalogueModel) -> dict[str, object]:
    direct = model.resource is not None and model.resource.direct
    more = {"page": model.page, "direct": direct}
    return {**asdict(model), **more, "non_commercial": forbids_commerce(model.licence)}


def _licence(model: CatalogueModel) -> str:
    return f"{model.licence}{' (non-commercial)' if forbids_commerce(model.licence) else ''}"


def _size(model: CatalogueModel) -> str:
    size = model.resource.size if model.resource else 0
    return f"{size / 1e6:.1f} MB" if size else "-"
