"""`srcli datasets`: benchmark sets by name: list, download, verify, and make those of DIV8K."""

from pathlib import Path

import click

from srcli.cli.console import echo_line
from srcli.cli.option_types import WholeScale
from srcli.errors import DownloadError, ExitCode

__all__ = ["datasets"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def datasets() -> None:
    """List, download and check benchmark sets."""


@datasets.command("list", short_help="List the sets and how to get them.")
@click.option("--data-root", type=_FOLDER, help="Folder of the sets.  [default: SRCLI_DATA]")
def list_sets(data_root: Path | None) -> None:
    """List the sets, the scales of each on this machine, and how to get them."""
    from rich.console import Console
    from rich.table import Table

    from srcli.data.benchmark_set import scales_there
    from srcli.data.roots import data_roots
    from srcli.data.sets import benchmark_sets

    roots = data_roots(data_root)
    table = Table(box=None, pad_edge=False)
    for header in ("set", "images", "Mpx", "here", "how to get it"):
        table.add_column(header, overflow="fold")
    for one in benchmark_sets().values():
        here = " ".join(f"x{scale}" for scale in scales_there(one, roots)) or "no"
        how = one.command() or one.origin
        table.add_row(one.name, str(one.images), f"{one.megapixels:g}", here, how)
    Console().print(table, markup=False, highlight=False)


@datasets.command(short_help="Download benchmark sets.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "-s", "--scale", "scales", type=WholeScale(2, 4), multiple=True, default=(4,),
    show_default=True, help="Scale factor. Repeatable.",
)  # fmt: skip
@click.option("--data-root", type=_FOLDER, help="Folder to write to.  [default: SRCLI_DATA]")
@click.option("--offline", is_flag=True, help="Do not use the internet (or SRCLI_OFFLINE=1).")
@click.option("--insecure", is_flag=True, help="Allow http addresses.")
def download(
    names: tuple[str, ...],
    scales: tuple[int, ...],
    data_root: Path | None,
    *,
    offline: bool,
    insecure: bool,
) -> ExitCode:
    """Download benchmark sets: Set5, Set14, B100, Urban100, DIV2K (its validation set).

    Images that exist are kept, and interrupted downloads continue. The first download stores a
    list of hashes; later downloads must match it. Exit code 1 if some sets fail, 3 if all fail.
    """
    from srcli.cli.set_fetching import fetch_set
    from srcli.data.roots import data_roots
    from srcli.data.set_download import MIRRORS
    from srcli.data.sets import benchmark_set
    from srcli.transfer.policy import Policy

    policy = Policy.of_environment(offline=offline, insecure=insecure, mirrors=MIRRORS)
    wanted = [(benchmark_set(name), scale) for name in names for scale in dict.fromkeys(scales)]
    failed = 0
    for one, scale in wanted:
        try:
            click.echo(fetch_set(one, scale, data_roots(data_root)[0], policy))
        except DownloadError as error:
            echo_line(str(error))
            failed += 1
    if not failed:
        return ExitCode.ALL_DONE
    return ExitCode.SOME_FAILED if failed < len(wanted) else ExitCode.NOTHING_DONE


@datasets.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--data-root", type=_FOLDER, help="Folder of the sets.  [default: SRCLI_DATA]")
def verify(names: tuple[str, ...], data_root: Path | None) -> ExitCode:
    """Check the images of sets against their stored hashes.

    Without NAME, check all sets that have a list. Exit code 1 if an image is altered or missing.
    """
    from srcli.data.hash_list import altered_files, read_hashes
    from srcli.data.roots import data_roots
    from srcli.data.sets import benchmark_set, benchmark_sets

    chosen = [benchmark_set(name) for name in names] or list(benchmark_sets().values())
    roots = data_roots(data_root)
    if not any(one.hash_lists(roots) for one in chosen) and not names:
        places = ", ".join(map(str, roots))
        echo_line(f"no set in {places} has a list of hashes; hint: srcli datasets download Set5")
    faulty = False
    for one in chosen:
        lists = one.hash_lists(roots)
        if names and not lists:
            echo_line(
                f"{one.name}: there is no list of hashes; hint: {one.command() or one.origin}"
            )
            faulty = True
        for path in lists:
            altered = altered_files(path)
            faulty |= bool(altered)
            first = f": {path.parent / altered[0]}" if altered else ""
            whole = f"intact, {len(read_hashes(path))} files"
            state = f"{len(altered)} altered or missing{first}" if altered else whole
            click.echo(f"{path.parent}: {state}")
    return ExitCode.SOME_FAILED if faulty else ExitCode.ALL_DONE


@datasets.command(short_help="Make Test2K, Test4K or Test8K from DIV8K.")
@click.argument("name", type=click.Choice(["Test2K", "Test4K", "Test8K"], case_sensitive=False))
@click.option("--div8k", type=_FOLDER, required=True, help="Folder of DIV8K's images.")
@click.option("--data-root", type=_FOLDER, help="Folder to write to.  [default: SRCLI_DATA]")
@click.option(
    "-s", "--scale", type=WholeScale(2), default=4, show_default=True, help="Scale factor."
)
def prepare(name: str, div8k: Path, data_root: Path | None, scale: int) -> None:
    """Make Test2K, Test4K or Test8K from DIV8K by the published recipe.

    Images that exist are kept; the manifest holds the sha256 of every file.
    """
    from srcli.data.large_sets import prepare
    from srcli.data.roots import data_roots

    root = data_roots(data_root)[0]
    manifest = prepare(
        name, div8k, root, scale, lambda number: click.echo(f"{name}: {number}", err=True)
    )
    click.echo(manifest)
