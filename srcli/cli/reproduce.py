"""`srcli reproduce`: a table of a paper, run on this machine."""

import json
from pathlib import Path

import click

from srcli.benchmark.paper_tables import PAPER_TABLES, paper_table
from srcli.cli.console import echo_line, loading, printable
from srcli.cli.option_types import split_names
from srcli.errors import ExitCode, UsageError
from srcli.heartbeat import Heartbeat

__all__ = ["reproduce"]

_FIRST_LINE = 2.0  # s; what is over sooner needs none
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Run a paper's table on this machine.")
@click.argument("table", type=click.Choice(list(PAPER_TABLES)), metavar="TABLE")
@click.option("-d", "--datasets", metavar="NAME,…", help="Only these sets of the table.")
@click.option("-m", "--rows", metavar="NAME,…", help="Only these rows, by either name.")
@click.option("--data-root", type=_FOLDER, help="Folder of the sets.  [default: SRCLI_DATA]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N images of each set.")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Timed runs of each image.",
)
@click.option(
    "--effort",
    type=click.Choice(["exact", "balanced", "fast"]),
    default="balanced",
    show_default=True,
    help="Effort of networks in which tokens halt.",
)
@click.option("--random-weights", is_flag=True, help="Also time rows that have no weights here.")
@click.option(
    "--weights-folder",
    type=_FOLDER,
    help="Folder of trained ablations, for adaformer-tab3 and -tab4.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--out",
    type=_FOLDER,
    help="Folder for TABLE.md and TABLE.json, and fig. 6; it is made if need be.",
)
def reproduce(
    table: str,
    datasets: str | None,
    rows: str | None,
    data_root: Path | None,
    limit: int | None,
    repeats: int,
    effort: str,
    weights_folder: Path | None,
    device: str,
    out: Path | None,
    *,
    random_weights: bool,
) -> ExitCode:
    """Run what this machine has data and weights for of a paper's table, beside its figures.

    TABLE is one of adaformer-tab1, adaformer-tab2, adaformer-tab3, adaformer-tab4,
    adaformer-fig4, adaformer-fig6 and pure-pass-tab1. What is missing is listed, with how to get
    it; nothing is downloaded. Everything is computed in fp32 at x4, on whole images. With
    --weights-folder, each row of adaformer-tab3 and adaformer-tab4 is a network trained for it.
    """
    with loading():
        from srcli.benchmark.reproduce import ReproduceOptions
        from srcli.benchmark.reproduce import reproduce as run
        from srcli.benchmark.reproduction_tables import reproduction_tables
        from srcli.benchmark.tables import markdown
        from srcli.cli.bench_output import print_tables
        from srcli.cli.exit_figures import exit_figures
        from srcli.inference.device import pick_device

    if out is not None:
        _make(out)
    options = ReproduceOptions(
        pick_device(device), tuple(split_names(datasets)), tuple(split_names(rows)),
        data_root, limit, repeats, effort,
        random_weights, weights_folder,
    )  # fmt: skip
    with Heartbeat(echo_line, f"running {table}", _FIRST_LINE) as heartbeat:

        def tell(image: str) -> None:
            heartbeat.work = f"running {table}, the last image {printable(image)}"

        done = run(paper_table(table), options, tell)
        if done.table.draws and out is not None and not done.interrupted:
            for name, figure in exit_figures(done, options, tell):
                _make(out / table)
                _write(out / table / name, figure)
    tables = reproduction_tables(done)
    print_tables(tables)
    notes = [*done.remarks, *(f"missing: {line}" for line in done.missing)]
    for line in notes:
        click.echo(printable(line))
    for line in done.left_out:
        echo_line(f"left out: {printable(line)}")
    if out is not None:
        listed = "".join(f"- {line}\n" for line in notes)
        _write(out / f"{table}.md", "\n".join(filter(None, (markdown(tables), listed))).encode())
        data = json.dumps(done.as_data(), indent=1, ensure_ascii=False, default=str)
        _write(out / f"{table}.json", f"{data}\n".encode())
    if done.interrupted:
        echo_line("interrupted: these figures are over the images done by then")
        return ExitCode.INTERRUPTED
    measured = any(row.ours for row in done.rows)
    return ExitCode.ALL_DONE if measured and not done.left_out else ExitCode.SOME_FAILED


def _make(folder: Path) -> None:
    """Make the folder for results before anything is measured.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror or error}") from error


def _write(path: Path, content: bytes) -> None:
    """Let a file appear when it is whole.

    Raises:
        UsageError: It cannot be written.
    """
    from srcli.atomic import atomic_file

    try:
        with atomic_file(path.resolve()) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
