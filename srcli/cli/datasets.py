"""`srcli datasets`: which benchmark sets there are, and making the large ones."""

from pathlib import Path

import click

__all__ = ["datasets"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def datasets() -> None:
    """List the benchmark sets, and make the large ones from DIV8K."""


@datasets.command("list")
@click.option("--data-root", type=_FOLDER, help="Where sets lie.  [default: SRCLI_DATA]")
def list_sets(data_root: Path | None) -> None:
    """List the sets by name, which scales are on this machine, and where to get them."""
    from rich.console import Console
    from rich.table import Table

    from srcli.data.benchmark_set import scales_there
    from srcli.data.roots import data_roots
    from srcli.data.sets import benchmark_sets

    roots = data_roots(data_root)
    table = Table(box=None, pad_edge=False)
    for header in ("set", "pictures", "Mpx each", "here", "where to get it"):
        table.add_column(header, overflow="fold")
    for one in benchmark_sets().values():
        here = " ".join(f"x{scale}" for scale in scales_there(one, roots)) or "no"
        table.add_row(one.name, str(one.pictures), f"{one.megapixels:g}", here, one.source)
    Console().print(table, markup=False, highlight=False)


@datasets.command()
@click.argument("name", type=click.Choice(["Test2K", "Test4K", "Test8K"], case_sensitive=False))
@click.option("--div8k", type=_FOLDER, required=True, help="The folder of DIV8K's pictures.")
@click.option("--data-root", type=_FOLDER, help="Where it goes.  [default: SRCLI_DATA]")
@click.option("-s", "--scale", type=click.IntRange(2), default=4, show_default=True)
def prepare(name: str, div8k: Path, data_root: Path | None, scale: int) -> None:
    """Make Test2K, Test4K or Test8K from DIV8K by the published recipe.

    What is there already, and whole, is kept; the manifest holds the sha256 of every file.
    """
    from srcli.data.large_sets import prepare
    from srcli.data.roots import data_roots

    root = data_roots(data_root)[0]
    manifest = prepare(
        name, div8k, root, scale, lambda number: click.echo(f"{name}: {number}", err=True)
    )
    click.echo(manifest)
