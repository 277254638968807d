"""`srcli upscale --dry-run`: what would be done, and what it would take."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from srcli.cli.console import printable
from srcli.cli.counting import Counting
from srcli.cli.events import emit
from srcli.cli.pace import in_words
from srcli.cli.upscale_options import Engine, Handling
from srcli.defaults import AUTO
from srcli.errors import ExitCode, UnknownScale
from srcli.inference.choose_weights import choose_weights
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import Finished, Job
from srcli.jobs.preflight import Forecast, forecast, require_room
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize, scale_needed
from srcli.media import DecoderProcess
from srcli.weights import best_scale, clean_model

__all__ = ["forecast_all", "show_plan"]

_SHOWN = 200


def forecast_all(
    todo: Sequence[Job],
    target_size: TargetSize,
    decoder: DecoderProcess,
    limits: SizeLimits,
    handling: Handling,
) -> list[Forecast]:
    """Read all headers, which is counted where they are many."""
    counting = Counting(quiet=handling.quiet)
    forecasts = forecast(todo, target_size, decoder, limits, count=counting.count)
    counting.clear()
    return forecasts


def show_plan(
    forecasts: Sequence[Forecast],
    skipped: Sequence[Finished],
    ignored: Ignored,
    engine: Engine,
    handling: Handling,
) -> ExitCode:
    """Print every job with the size of its result, and the time and disk that all will take.

    The time is that of a small image, computed now, times the pixels to do. Clips are read once,
    as they are before they are upscaled.

    Returns:
        What the run would end with, as far as can be seen.

    Raises:
        UsageError: The results will hardly fit on the disk, and that is to be checked.
    """
    seconds = _seconds(forecasts, engine)
    failing = sum(one.size is None for one in forecasts)
    code = ExitCode.SOME_FAILED if failing else ExitCode.ALL_DONE
    if failing and failing == len(forecasts) and not skipped:
        code = ExitCode.NOTHING_DONE
    if handling.json:
        _emit(skipped, ignored, forecasts, seconds, engine, handling, code)
        return code
    disk = sum(one.disk for one in forecasts)
    table = Table(box=None, pad_edge=False)
    chooses = engine.model == AUTO
    for heading in ("input", "output", "px", "MB", *(["weights"] if chooses else [])):
        numeric = heading in ("px", "MB")
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for one in forecasts[:_SHOWN]:
        size = f"{one.size[0]}x{one.size[1]}" if one.size else "fails"
        size += f", {one.pages} pages" if one.pages > 1 else ""
        size += f", {one.frames} frames" if one.frames else ""
        target = str(one.job.target) if one.size else one.reason
        weights = [_choice_in_words(one)] if chooses else []
        mb = f"{one.disk / 1e6:.1f}"
        table.add_row(printable(one.job.source), printable(target), size, mb, *weights)
    console = Console()
    console.print(table, markup=False, highlight=False)
    if len(forecasts) > _SHOWN:
        console.print(f"and {len(forecasts) - _SHOWN} more (--json lists all)", highlight=False)
    fails = f", {failing} will fail" if failing else ""
    console.print(
        f"{len(forecasts) - failing} to do, {len(skipped)} skipped{fails}; about "
        f"{in_words(seconds)} in the network, {disk / 1e6:.1f} MB",
        highlight=False,
    )
    for line in ignored.lines():
        console.print(f"ignored {printable(line)}", markup=False, highlight=False)
    for line in require_room(forecasts) if handling.disk_check else ():
        console.print(line, highlight=False)
    return code


def _emit(
    skipped: Sequence[Finished],
    ignored: Ignored,
    forecasts: Sequence[Forecast],
    seconds: float,
    engine: Engine,
    handling: Handling,
    code: ExitCode,
) -> None:
    """The plan as events."""
    for one in forecasts:
        choice = one.info and choose_weights(engine.model, one.info.compression)
        emit("planned", _fields(one) | ({"weights": [asdict(choice)]} if choice else {}))
    for end in skipped:
        names = {"input": str(end.job.source), "output": str(end.job.target)}
        emit("skipped", names | {"reason": end.reason})
    if handling.disk_check:
        require_room(forecasts)
    totals = {"planned": len(forecasts), "skipped": len(skipped), "ignored": ignored.counts()}
    disk = sum(one.disk for one in forecasts)
    emit("summary", totals | {"seconds": round(seconds, 1), "bytes": disk, "exit_code": int(code)})


def _choice_in_words(one: Forecast) -> str:
    """The weights that the header asks for; of a clean one the pixels have the last word."""
    choice = one.info and choose_weights(AUTO, one.info.compression)
    if choice is None:
        return ""
    is_clean = choice.model == clean_model(AUTO) and not one.frames
    return f"{choice.model} ({choice.reason}{', if no blocks are found' if is_clean else ''})"


def _fields(one: Forecast) -> dict[str, object]:
    fields: dict[str, object] = {
        "input": str(one.job.source),
        "output": str(one.job.target),
        "format": one.job.image_format,
    }
    if one.size is None:
        return fields | {"reason": one.reason}
    fields |= {"width": one.size[0], "height": one.size[1], "bytes": one.disk}
    fields |= {"frames": one.frames} if one.frames else {}
    return fields | ({"pages": one.pages} if one.pages > 1 else {})


def _seconds(forecasts: Sequence[Forecast], engine: Engine) -> float:
    """The time all will take, by the networks that will make them."""
    pixels: Counter[int] = Counter()
    for one in forecasts:
        if one.info is None or one.size is None:
            continue
        needed = scale_needed((one.info.width, one.info.height), one.size)
        if needed > 1:
            with suppress(UnknownScale):  # it will fail
                pixels[best_scale(engine.model, max(needed, 2)).scale] += one.pixels
    return sum(count * _pace(engine, scale) for scale, count in pixels.items())


def _pace(engine: Engine, scale: int) -> float:
    """Seconds per LR px."""
    from srcli.cli.clip_estimate import seconds_per_pixel
    from srcli.inference.upscaler import Upscaler

    return seconds_per_pixel(
        Upscaler(engine.model, scale, engine.device, engine.precision, effort=engine.asked_effort)
    )
