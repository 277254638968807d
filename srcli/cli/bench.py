"""`srcli bench`: quality, latency, memory and sparsity in one table."""

import tempfile
from pathlib import Path

import click
from click.core import ParameterSource

from srcli.cli.bench_progress import interruptible, shown_progress
from srcli.cli.console import echo_line, loading, printable
from srcli.cli.option_types import WholeScale, split_names
from srcli.cli.run_options import DownloadOptions, download_options
from srcli.defaults import PRECISIONS
from srcli.errors import ExitCode, UsageError

__all__ = ["bench"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


def _savings(context: click.Context, option: click.Parameter, value: str | None) -> list[str]:
    """Split the names of savings, and refuse unknown ones."""
    if value is None:
        return []
    from srcli.benchmark.saving_names import check_savings

    names = split_names(value)
    check_savings(names)
    return names


@click.command(short_help="Measure quality, time and memory of networks.")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[FOLDER]")
@click.option("-d", "--dataset", help="Benchmark set by name: Set5, B100, … (srcli datasets list).")
@click.option("--hr", type=_FOLDER, help="Folder of original images, instead of a set.")
@click.option("--lr", type=_FOLDER, help="Folder of LR images; without --hr only time and masks.")
@click.option(
    "--latency",
    "sizes",
    metavar="SIZE|IMAGE,…",
    help="Measure time only, for LR sizes such as 512x341 or files.",
)
@click.option(
    "-s", "--scale", type=WholeScale(2), default=4, show_default=True,
    help="Scale factor.",
)  # fmt: skip
@click.option(
    "-m", "--models", default="bicubic,adaformer", show_default=True, metavar="NAME,…",
    help="Networks, bicubic or lanczos; times are relative to the first.",
)  # fmt: skip
@click.option(
    "--effort", "efforts", default="exact,balanced", show_default=True, metavar="NAME,…",
    help="Efforts to measure, of networks that have them.",
)  # fmt: skip
@click.option(
    "--protocol",
    default="basicsr-y",
    show_default=True,
    help="Protocol of PSNR and SSIM: basicsr-y, rgb, camixer-rgb or adaformer-y.",
)
@click.option(
    "--data-root", type=_FOLDER, help="Folder of the benchmark sets.  [default: SRCLI_DATA]"
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N images.")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Timed runs of each image.",
)
@click.option(
    "--random-weights", is_flag=True, help="Measure time with random numbers in place of weights."
)
@click.option(
    "--plain",
    is_flag=True,
    help="Also measure the reference implementation and the convolutions alone.",
)
@click.option(
    "--end-to-end", is_flag=True, help="Measure from file to file: decoding, tiles and encoding."
)
@click.option(
    "--degrade", metavar="NAME,…",
    help="Degrade LR images: jpeg:75, jpeg444:90, webp:50, h264:28, noise:5, blur:0.5, joined by "
    "+; none.",
)  # fmt: skip
@click.option(
    "--without", metavar="NAME,…", callback=_savings,
    help="Also measure networks with a saving switched off: flat-areas, local-mask, global-mask, "
    "smooth-windows, pure-pixels; each by itself.",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True, help="Number format in the networks.",
)  # fmt: skip
@click.option("--pictures", is_flag=True, help="Also print a line for each image.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    help="Write all results to this file; - is stdout.",
)
@click.option(
    "--csv", "csv_file", type=_FILE, help="Write a CSV file with a line for each image and model."
)
@click.option(
    "--markdown", "markdown_file", type=_FILE, help="Write the tables to a Markdown file."
)
@click.option(
    "--plot", type=_FILE, help="Write a chart of quality, time and sparsity to a PNG file."
)
@click.option(
    "--compare", nargs=2, type=_FILE, metavar="A.json B.json",
    help="Measure nothing; print what changed between two --json files by more than the spread.",
)  # fmt: skip
@download_options
@interruptible
def bench(
    folder: Path | None,
    dataset: str | None,
    hr: Path | None,
    lr: Path | None,
    sizes: str | None,
    scale: int,
    models: str,
    efforts: str,
    protocol: str,
    data_root: Path | None,
    limit: int | None,
    repeats: int,
    degrade: str | None,
    without: list[str],
    device: str,
    precision: str,
    json_file: Path | None,
    csv_file: Path | None,
    markdown_file: Path | None,
    plot: Path | None,
    compare: tuple[Path, Path] | None,
    downloads: DownloadOptions,
    *,
    random_weights: bool,
    plain: bool,
    end_to_end: bool,
    pictures: bool,
) -> ExitCode:
    """Measure quality, time and memory of networks on a folder or a benchmark set.

    FOLDER holds original images, from which LR images are made as MATLAB's bicubic does, or HR
    and LR images in one of the usual layouts (HR and LR, x4/HR and x4/LR, GTmod12 and LRbicx4,
    HR and LR_bicubic/X4). Models take turns on every image, so that a machine that slows down
    slows all of them. Missing weights are downloaded after a question.
    """
    if compare is not None:
        _show_changes(*compare)
        return ExitCode.ALL_DONE
    from srcli.benchmark.inputs import BenchmarkInputs, as_text, loaded

    inputs = BenchmarkInputs(
        dataset, folder, hr, lr, None if sizes is None else split_names(sizes), data_root, limit
    )
    inputs.require_one()  # before torch is imported
    with loading():
        from srcli.benchmark.choose_methods import Setup, methods_named
        from srcli.benchmark.machine import describe_machine
        from srcli.benchmark.measure import MeasureSettings, measure
        from srcli.benchmark.results import Run
        from srcli.cli.bench_output import Files, deliver
        from srcli.inference.device import pick_device, pick_precision
        from srcli.metrics.protocols import protocol_named

    files = Files(json_file, csv_file, markdown_file, plot)
    files.check()
    name, pairs = inputs.find(scale, echo_line)
    where = pick_device(device)
    dtype = pick_precision(precision, where)
    settings = MeasureSettings(scale, protocol_named(protocol), repeats, where)
    asked = None if _is_default("efforts") else split_names(efforts)
    models = _fetched(models, asked, scale, downloads, random_weights=random_weights)
    failed: dict[str, str] = {}

    def leave_out(picture: str, reason: str) -> None:
        failed[picture] = as_text(reason)
        click.echo(f"left out: {printable(reason)}", err=True)

    with tempfile.TemporaryDirectory() as scratch, shown_progress(len(pairs)) as advance:
        setup = Setup(
            scale, where, precision, asked,
            random=random_weights, plain=plain,
            end_to_end=Path(scratch) if end_to_end else None, degrade=split_names(degrade or ""),
            without=without,
        )  # fmt: skip
        methods = methods_named(split_names(models), setup, echo_line)
        compares = any(one.has_quality for one in methods)
        smallest = settings.protocol.smallest(scale) if compares else 0
        samples = loaded(pairs, scale, smallest, leave_out)
        measured = measure(methods, samples, settings, advance, leave_out)
    if not measured.rows:
        return _nothing_measured(len(pairs), failed, interrupted=measured.interrupted)
    done = len(measured.rows) // len(methods)
    untried = len(pairs) - done - len(failed) if measured.interrupted else 0
    run = Run(
        dataset=name,
        settings={
            "scale": scale, "protocol": protocol, "repeats": repeats, "device": str(where),
            "precision": ", ".join(filter(None, dict.fromkeys(one.precision for one in methods))),
            "models": models, "efforts": efforts, "random_weights": random_weights,
            "plain": plain, "end_to_end": end_to_end, "degrade": degrade,
            "without": without,
            "whole_set": dataset is not None and limit is None,
        },
        machine=describe_machine(where, dtype),
        weights={one.name: one.weights for one in methods},
        rows=measured.rows,
        failed=failed,
        untried=untried,
        switched_off={one.name: one.switched_off for one in methods if one.switched_off},
    )  # fmt: skip
    deliver(run, files, pictures=pictures)
    if measured.interrupted:
        echo_line(f"interrupted: these figures are over {done} of {len(pairs)} images")
        return ExitCode.INTERRUPTED
    return ExitCode.SOME_FAILED if failed else ExitCode.ALL_DONE


def _show_changes(before: Path, after: Path) -> None:
    """Print what moved between two measurements."""
    from srcli.cli.bench_output import compared, print_tables

    print_tables([compared(before, after)])


def _nothing_measured(count: int, failed: dict[str, str], *, interrupted: bool) -> ExitCode:
    """Say why none of `count` images was measured.

    Raises:
        UsageError: None could be.
    """
    if not interrupted:
        raise UsageError(f"none of {count} images could be measured: {next(iter(failed.values()))}")
    echo_line(f"interrupted before any of {count} images was measured")
    return ExitCode.INTERRUPTED


def _fetched(
    models: str,
    efforts: list[str] | None,
    scale: int,
    downloads: DownloadOptions,
    *,
    random_weights: bool,
) -> str:
    """Download the weights that are not here, if that is wanted.

    Returns:
        The names that they are known by, with commas between them.
    """
    from srcli.benchmark.choose_methods import networks_named
    from srcli.cli.fetching import fetch_before_use, known_model, policy_of

    known = known_model(models, policy_of(downloads))
    if not random_weights:
        networks = networks_named(split_names(known), efforts)
        wanted = [(one, scale) for one in networks]
        fetch_before_use(wanted, policy_of(downloads), yes=downloads.yes)
    return known


def _is_default(name: str) -> bool:
    """Tell if nobody has set an option."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.DEFAULT
