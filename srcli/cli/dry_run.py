"""`srcli upscale --dry-run`: the plan, with estimates of time and disk space."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from srcli.cli.console import ProgressCounter, in_words, printable
from srcli.cli.events import emit
from srcli.cli.run_options import NetworkOptions
from srcli.cli.summary import skip_reasons
from srcli.cli.upscale_options import UpscaleOptions
from srcli.cli.upscale_plan import RunPlan
from srcli.defaults import SCALE
from srcli.errors import ExitCode, UnknownScale
from srcli.inference.choose_weights import choose_weights
from srcli.inference.report import WeightsChoice
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import Finished, Job
from srcli.jobs.preflight import Forecast, forecast, require_room
from srcli.jobs.target_size import scale_needed
from srcli.media import DecoderPool
from srcli.weights import entry_for_growth, photo_model

__all__ = ["forecast_all", "show_plan"]

_SHOWN = 200
_ENDLESS = 10_000  # columns


def forecast_all(jobs: Sequence[Job], plan: RunPlan, decoder: DecoderPool) -> list[Forecast]:
    """Read all headers, with a counter where they are many."""
    counter = ProgressCounter(quiet=plan.options.run.quiet)
    forecasts = forecast(jobs, plan.target_size, decoder, plan.size_limits, count=counter.count)
    counter.clear()
    return forecasts


def show_plan(
    forecasts: Sequence[Forecast],
    skipped: Sequence[Finished],
    ignored: Ignored,
    options: UpscaleOptions,
) -> ExitCode:
    """Print every job with the size of its result, and the time and disk space for all.

    The time is estimated from a small image, computed now, and the pixels of all inputs. Clips are
    read once, as they are before they are upscaled.

    Returns:
        The exit code that the run would have, as far as can be foreseen.

    Raises:
        UsageError: The results will hardly fit on the disk, and that is to be checked.
    """
    run = options.run
    seconds = _seconds(forecasts, options.network)
    failing = sum(one.fails for one in forecasts)
    unread = sum(one.unread for one in forecasts)
    code = _exit_code(failing, len(forecasts) + len(skipped))
    if run.json:
        _emit(skipped, ignored, forecasts, seconds, options, code)
        return code
    disk = sum(one.disk for one in forecasts)
    console = Console()
    _print_jobs([one for one in forecasts[:_SHOWN] if one.size], options.network, console)
    for one in forecasts[:_SHOWN]:
        if not one.size:
            _print_line(_without_size(one), console)
    if len(forecasts) > _SHOWN:
        _print_line(f"and {len(forecasts) - _SHOWN} more (--json lists all)", console)
    for end in skipped if run.verbose else ():
        _print_line(f"{end.job.source}: skipped, {end.reason}", console)
    for reason, count in skip_reasons(skipped).items():
        _print_line(f"{count} skipped: {reason}", console)
    fails = f", {failing} will fail" if failing else ""
    known = f" for those read, not the {unread} in storage" if unread else ""
    _print_line(
        f"{len(forecasts) - failing} to do, {len(skipped)} skipped{fails}; about "
        f"{in_words(seconds)} in the network, {disk / 1e6:.1f} MB{known}",
        console,
    )
    for line in ignored.lines():
        _print_line(f"ignored {line}", console)
    for line in require_room(forecasts) if run.disk_check else ():
        _print_line(line, console)
    return code


def _exit_code(failing: int, inputs: int) -> ExitCode:
    """The exit code of a run in which so many of its inputs fail."""
    if not failing:
        return ExitCode.ALL_DONE
    return ExitCode.NOTHING_DONE if failing == inputs else ExitCode.SOME_FAILED


def _without_size(one: Forecast) -> str:
    """A line about an input of which no size is known: it will fail, or lies in storage."""
    if one.unread:
        return f"{one.job.source} -> {one.job.target}"
    return f"{one.job.source} will fail: {one.reason.removeprefix(f'{one.job.source}: ')}"


def _print_jobs(forecasts: Sequence[Forecast], network: NetworkOptions, console: Console) -> None:
    """Print what each input becomes: a table, or where that is too wide two lines for each."""
    table = Table(box=None, pad_edge=False)
    choices = [_choice_in_words(one, network) for one in forecasts]
    for heading in ("input", "output", "px", "MB", *(["weights"] if any(choices) else [])):
        justify = "right" if heading in ("px", "MB") else "left"
        table.add_column(heading, justify=justify, no_wrap=True)
    rows: list[tuple[str, str, str, str, str]] = []
    for one, choice in zip(forecasts, choices, strict=True):
        assert one.size is not None
        size = f"{one.size[0]}x{one.size[1]}"
        size += f", {one.pages} pages" if one.pages > 1 else ""
        size += f", {one.frames} frames" if one.frames else ""
        names = printable(one.job.source), printable(one.job.target)
        rows.append((*names, size, f"{one.disk / 1e6:.1f}", choice))
        table.add_row(*rows[-1][: len(table.columns)])
    if not rows:
        return
    if Console(width=_ENDLESS).measure(table).maximum <= console.width:
        console.print(table, markup=False, highlight=False)
        return
    for source, target, size, megabytes, choice in rows:
        _print_line(source, console)
        weights = f", {choice}" if choice else ""
        _print_line(f"  -> {target}  {size}, {megabytes} MB{weights}", console)


def _print_line(text: str, console: Console) -> None:
    """Print a line in which no word is broken."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def _emit(
    skipped: Sequence[Finished],
    ignored: Ignored,
    forecasts: Sequence[Forecast],
    seconds: float,
    options: UpscaleOptions,
    code: ExitCode,
) -> None:
    """The plan as events."""
    for one in forecasts:
        choice = _choice(one, options.network)
        emit("planned", _fields(one) | ({"weights": [asdict(choice)]} if choice else {}))
    for end in skipped:
        names = {"input": str(end.job.source), "output": str(end.job.target)}
        emit("skipped", names | {"reason": end.reason})
    if options.run.disk_check:
        require_room(forecasts)
    totals = {"planned": len(forecasts), "skipped": len(skipped), "ignored": ignored.counts()}
    disk = sum(one.disk for one in forecasts)
    emit("summary", totals | {"seconds": round(seconds, 1), "bytes": disk, "exit_code": int(code)})


def _choice(one: Forecast, network: NetworkOptions) -> WeightsChoice | None:
    """The weights that `auto` will choose by the header; blocks in the pixels may change it."""
    if one.info is None or one.size is None:
        return None
    needed = scale_needed((one.info.width, one.info.height), one.size)
    return choose_weights(network.model, one.info.compression, needed)


def _choice_in_words(one: Forecast, network: NetworkOptions) -> str:
    choice = _choice(one, network)
    if choice is None:
        return ""
    text = f"{choice.model} ({choice.reason})"
    photo = photo_model(network.model, SCALE)
    if choice.model == photo or one.frames:
        return text
    return f"{text}, or {photo} if block edges are found"


def _fields(one: Forecast) -> dict[str, object]:
    fields: dict[str, object] = {
        "input": str(one.job.source),
        "output": str(one.job.target),
        "format": one.job.image_format,
    }
    if one.unread:
        return fields | {"unread": True}
    if one.size is None:
        return fields | {"reason": one.reason}
    fields |= {"width": one.size[0], "height": one.size[1], "bytes": one.disk}
    fields |= {"frames": one.frames} if one.frames else {}
    return fields | ({"pages": one.pages} if one.pages > 1 else {})


def _seconds(forecasts: Sequence[Forecast], model: NetworkOptions) -> float:
    """The time all will take, by the networks that will make them."""
    pixels: Counter[int] = Counter()
    for one in forecasts:
        if one.info is None or one.size is None:
            continue
        needed = scale_needed((one.info.width, one.info.height), one.size)
        with suppress(UnknownScale):  # it will fail
            scale = entry_for_growth(model.model, needed).scale
            if needed > 1 or scale == 1:
                pixels[scale] += one.pixels
    return sum(count * _pace(model, scale) for scale, count in pixels.items())


def _pace(model: NetworkOptions, scale: int) -> float:
    """Seconds per LR px."""
    from srcli.cli.upscale_work import seconds_per_pixel
    from srcli.inference.upscaler import Upscaler

    return seconds_per_pixel(
        Upscaler(model.model, scale, model.device, model.precision, effort=model.effort_or_eps)
    )
