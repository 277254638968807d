"""`srcli weights`: what weights there are, finding and getting them, bringing your own."""

from pathlib import Path

import click

from srcli.cli.console import echo_line
from srcli.cli.option_types import ByteCount, WholeScale
from srcli.cli.run_options import offline_option
from srcli.errors import ExitCode, UsageError, WeightsError
from srcli.extras import spandrel_is_here
from srcli.heartbeat import Heartbeat

__all__ = ["weights"]

_FILE = click.Path(path_type=Path)


@click.group()
def weights() -> None:
    """List, download, check and import weights."""


@weights.command("list", short_help="List all weights, the best of each scale first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_weights(*, as_json: bool) -> None:
    """List all weights, on this machine or not, the best of each scale first.

    "Set5 dB" is PSNR-Y on Set5 as measured by us, "paper" as published with the network.
    """
    from srcli.cli.weights_output import print_json, print_table
    from srcli.weights import by_quality, known

    (print_json if as_json else print_table)(by_quality(known()))


@weights.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def show(name: str, *, as_json: bool) -> None:
    """Show details of weights, or of a weights file.

    Of a file: the network and scale that its parameters match, their number and type.
    openmodeldb:ID shows a model of OpenModelDB.
    """
    from srcli.weights import known, weights_named
    from srcli.weights.manifest import CATALOGUE

    if name.startswith(CATALOGUE):
        from srcli.cli.catalogue_output import print_model, read_and_say

        print_model(read_and_say(offline=False).named(name), as_json=as_json)
    elif Path(name).is_file() and not any(entry.answers_to(name) for entry in known()):
        with Heartbeat(echo_line, f"reading {name}"):
            from srcli.cli.weights_file import print_checkpoint

            print_checkpoint(Path(name), as_json=as_json)
    elif Path(name).suffix in (".pth", ".pt", ".ckpt", ".safetensors"):
        raise UsageError(f"{name} does not exist; hint: check the name")
    else:
        from srcli.cli.weights_output import print_entries

        print_entries(weights_named(name), as_json=as_json)


@weights.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--all", "everything", is_flag=True, help="Download all weights that can be downloaded."
)
@click.option(
    "--trust-first",
    is_flag=True,
    help="Also download weights without a published hash, if their structure is right; the hash "
    "of the first download counts from then on (or SRCLI_TRUST_FIRST=1).",
)
@click.option("--offline", is_flag=True, help="Do not use the internet (or SRCLI_OFFLINE=1).")
@click.option("--insecure", is_flag=True, help="Allow http addresses.")
def download(
    names: tuple[str, ...], *, everything: bool, trust_first: bool, offline: bool, insecure: bool
) -> ExitCode:
    """Download weights and check them.

    NAME is a name from srcli weights list, a network, openmodeldb:ID, or "recommended". Weights on
    this machine are not downloaded again, and interrupted downloads continue. Exit code 1 if some
    fail, 3 if all fail.
    """
    from srcli.cli.fetching import fetch_all, known_model
    from srcli.transfer.policy import Policy
    from srcli.weights import (
        RECOMMENDED,
        Source,
        by_quality,
        known,
        needs_trust,
        recommended,
        weights_named,
    )
    from srcli.weights.manifest_file import COMMUNITY

    if everything == bool(names):
        have = ", ".join(e.name for e in by_quality(known()) if e.source is Source.DOWNLOAD)
        raise UsageError(
            f"give names of weights, or --all; available: {have}; "
            "hint: srcli weights download recommended"
        )
    policy = Policy.of_environment(offline=offline, insecure=insecure, trust_first=trust_first)
    entries = [
        entry
        for name in names
        for entry in (
            recommended() if name == RECOMMENDED else weights_named(known_model(name, policy))
        )
    ]
    if everything:
        entries = [
            entry
            for entry in known()
            if entry.source is Source.DOWNLOAD
            and (policy.trust_first or not needs_trust(entry))
            and (entry.model != COMMUNITY or spandrel_is_here())
        ]
    failed = fetch_all(entries, policy)
    if not failed:
        return ExitCode.ALL_DONE
    return ExitCode.SOME_FAILED if failed < len(entries) else ExitCode.NOTHING_DONE


@weights.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--scale", type=WholeScale(1), help="Scale of the model; 1 restores only.")
@click.option("--arch", metavar="NAME", help="Architecture: esrgan, span, realplksr, ...")
@click.option(
    "--licence",
    type=click.Choice(["commercial", "any"]),
    default="any",
    show_default=True,
    help="commercial leaves out licences for non-commercial use, and models without one.",
)
@click.option("--max-size", type=ByteCount(), help="Largest file: 20M.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@offline_option
def search(
    words: tuple[str, ...],
    scale: int | None,
    arch: str | None,
    licence: str,
    max_size: int | None,
    *,
    as_json: bool,
    offline: bool,
) -> ExitCode:
    """Search OpenModelDB for models by words.

    All WORDs must be in name, author, tags or description. The catalogue is kept for a day, and
    for longer where there is no network. Exit code 3 if no model
    fits.
    """
    from srcli.cli.catalogue_output import print_found, read_and_say
    from srcli.weights.catalogue import Wanted

    wanted = Wanted(words, scale, arch, licence == "commercial", max_size)
    catalogue = read_and_say(offline=offline)
    found = catalogue.search(wanted)
    print_found(found, catalogue, as_json=as_json)
    return ExitCode.ALL_DONE if found else ExitCode.NOTHING_DONE


@weights.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> ExitCode:
    """Check weights files against their sha256.

    Without NAME, check all on this machine. Exit code 1 if one is altered or missing.
    """
    from srcli.weights import known, weights_named
    from srcli.weights.hashes import fault_of
    from srcli.weights.local_files import is_here

    entries = [entry for name in names for entry in weights_named(name)]
    if not names:
        entries = [entry for entry in known() if is_here(entry)]
    faulty = False
    for entry in entries:
        fault = fault_of(entry)
        faulty |= fault is not None
        click.echo(f"{entry.name}: {fault or 'intact'}")
    return ExitCode.SOME_FAILED if faulty else ExitCode.ALL_DONE


@weights.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the path of a weights file.

    Without NAME, print the folders of weights.
    """
    from srcli.weights import box, how_to_get, weights_named
    from srcli.weights.local_files import downloads, file_of, imports, is_here

    if name is None:
        for title, folder in (
            ("bundled", box()),
            ("downloads", downloads()),
            ("imports", imports()),
        ):
            click.echo(f"{title:<10} {folder}")
        return
    entries = weights_named(name)
    here = [entry for entry in entries if is_here(entry)]
    if not here:
        raise WeightsError(how_to_get(entries[-1]))
    for entry in here:
        click.echo(file_of(entry))


@weights.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--forget",
    is_flag=True,
    help="Also forget the hash of the first download, if none is published.",
)
def remove(names: tuple[str, ...], *, forget: bool) -> None:
    """Delete downloaded and imported weights."""
    from srcli.weights import weights_named
    from srcli.weights.local_files import remove_weights

    chosen = [entry for name in names for entry in weights_named(name)]
    for removed in remove_weights(chosen, forget=forget):
        click.echo(f"removed {removed}", err=True)


@weights.command()
@click.argument("source", metavar="IN", type=_FILE)
@click.argument("target", metavar="OUT.safetensors", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def convert(source: Path, target: Path, *, overwrite: bool) -> None:
    """Convert a checkpoint to safetensors.

    Parameters get srcli's names. No code in the checkpoint is run.
    """
    with Heartbeat(echo_line, f"converting {source}"):
        from srcli.weights.import_weights import convert

        found = convert(source, target, overwrite=overwrite)
    click.echo(f"{found.title} x{found.scale}, {found.tensors} tensors", err=True)
    click.echo(target)


@weights.command("import", short_help="Import your own checkpoint.")
@click.argument("source", metavar="FILE", type=_FILE)
@click.option("--model", help="Network.  [default: identified by the parameters]")
@click.option("--scale", type=WholeScale(1), help="Scale.  [default: identified by the parameters]")
@click.option("--name", help="Name to use with -m.  [default: the network's name]")
def import_weights(source: Path, model: str | None, scale: int | None, name: str | None) -> None:
    """Import your own checkpoint, for srcli upscale -m NAME.

    FILE is a safetensors file or a PyTorch checkpoint (.pth, .ckpt), of a network of srcli's or of
    one that spandrel knows (pip install 'srcli[community]'). No code in it is run.
    """
    with Heartbeat(echo_line, f"importing {source}"):
        from srcli.weights.import_weights import import_weights

        entry = import_weights(source, model, scale, name)
    call = entry.variant or entry.model
    click.echo(f"imported {entry.name}: srcli upscale -m {call} -s {entry.scale}", err=True)
    click.echo(entry.name)
