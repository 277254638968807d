"""Summary of a batch: the table at its end, the exit code, and a line about better weights."""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from srcli.cli.console import echo_fields, megapixels_in_words
from srcli.cli.run_options import NetworkOptions
from srcli.defaults import AUTO, MODEL
from srcli.errors import ExitCode
from srcli.inference.report import Report, add_reports
from srcli.jobs.identity import is_there
from srcli.jobs.job import Finished, State
from srcli.transfer.policy import is_switched_on
from srcli.url_paths import UrlPath
from srcli.weights import Source, WeightsEntry, better_than, clean_model, figure_of
from srcli.weights.local_files import records

__all__ = [
    "amount_of",
    "better_weights_line",
    "by_layer",
    "exit_code",
    "print_summary",
    "skip_reasons",
]

_FEW = 20  # failures of so few inputs are not repeated: their lines stand above
_SHOWN_FAILURES = 20
_NOTICE_FILE = "told_of_better_weights"  # in the records folder, once the line was shown


def print_summary(
    finished: Sequence[Finished],
    *,
    seconds: float,
    ignored: Sequence[str] = (),
    better: str = "",
    compared: str = "",
    device: str = "",
    verbose: bool = False,
) -> None:
    """Print to stdout what was done, skipped and failed, and where the results are.

    Args:
        finished: How each job ended; failures have been shown already.
        seconds: Wall time of the batch.
        ignored: What was passed over, one line each.
        better: That there are better weights, if so; said only if something was done.
        compared: The page that compares, and what it shows.
        device: What computed, and in which precision.
        verbose: Show shares by layer, too.
    """
    counts = Counter(end.state for end in finished)
    rows = [(state.value, str(counts[state])) for state in State]
    for reason, count in skip_reasons(finished).items():
        rows.append(("  skipped", f"{count}: {reason}"))
    rows += [("ignored", line) for line in ignored]
    reports = [end.report for end in finished if end.report is not None]
    rows += _work(finished, reports, seconds, verbose=verbose)
    if device and reports:
        rows.append(("device", device))
    losing = sum(bool(end.losses) for end in finished)
    if losing:
        rows.append(("not kept", f"parts of {losing} inputs, listed above"))
    failures = [end for end in finished if end.state is State.FAILED]
    if len(finished) > _FEW:
        rows += [("  failed", end.reason) for end in failures[:_SHOWN_FAILURES]]
    if len(failures) > _SHOWN_FAILURES:
        rows.append(("  failed", f"and {len(failures) - _SHOWN_FAILURES} more, listed above"))
    if compared:
        rows.append(("compare", compared))
    if better and reports:
        rows.append(("better", better))
    echo_fields(rows)


def _work(
    finished: Sequence[Finished],
    reports: Sequence[Report],
    seconds: float,
    *,
    verbose: bool,
) -> Iterator[tuple[str, str]]:
    """Where the results are, and what they took."""
    places = [end.job.target for end in finished if end.report or _is_kept(end)]
    if places:
        yield "results", str(_place(places))
    if not reports:
        return
    network = sum(r.seconds for r in reports)
    yield "output", amount_of(reports)
    yield "time", f"{seconds:.1f} s, of which network {network:.1f} s"
    chosen = Counter(choice.model for report in reports for choice in report.choices)
    if chosen:
        yield "weights", ", ".join(f"{model} for {count}" for model, count in chosen.most_common())
    live = add_reports(reports).live_windows
    if live:
        layers = f" ({by_layer(live)} by layer)" if verbose else ""
        yield "computed", f"{sum(live) / len(live):.0%} of the attention{layers}"
    reruns = sum(r.reruns for r in reports)
    if reruns:
        yield "rerun", f"{reruns} tiles in fp32 (not finite in lower precision)"
    blended = sum(not r.exact for r in reports)
    if blended:
        yield "blended", f"{blended} of {len(reports)}, from overlapping tiles"


def _skipped(end: Finished) -> bool:
    return end.state is State.SKIPPED


def _is_kept(end: Finished) -> bool:
    """True if the input was skipped because its result is there."""
    return _skipped(end) and end.job.target != end.job.source and is_there(end.job.target)


def amount_of(reports: Sequence[Report]) -> str:
    """Amount that was made: megapixels of images, and frames of clips with their size."""
    images = [report for report in reports if not report.frames]
    parts: list[str] = []
    if images:
        parts.append(megapixels_in_words(sum(report.megapixels for report in images)))
    frames = sum(report.frames for report in reports)
    if frames:
        sizes = {report.frame_size for report in reports if report.frame_size}
        of = " of {}x{}".format(*sizes.pop()) if len(sizes) == 1 else ""
        parts.append(f"{frames} frame{'s' * (frames > 1)}{of}")
    return ", ".join(parts)


def skip_reasons(finished: Sequence[Finished]) -> Counter[str]:
    """Number of skipped inputs by their reason."""
    return Counter(_reason(end) for end in finished if _skipped(end))


def _reason(end: Finished) -> str:
    """Why an input was skipped, without its own name, so that equal reasons add up."""
    return end.reason.replace(str(end.job.target), "the output")


def _place(targets: Sequence[Path]) -> str:
    """The result, or the folder that holds all of them; two, if some are in storage."""
    if len(targets) == 1:
        return str(targets[0])
    places: list[str] = []
    for kind in (UrlPath, Path):  # those in storage, and those here
        folders = [
            str(one.parent) for one in targets if isinstance(one, UrlPath) is (kind is UrlPath)
        ]
        places += [str(kind(os.path.commonpath(folders)))] if folders else []
    return ", ".join(places)


def by_layer(shares: Sequence[float]) -> str:
    """Shares in [0, 1] as one short list: `100 83 68 %`."""
    return " ".join(f"{share * 100:.0f}" for share in shares) + " %"


def exit_code(finished: Sequence[Finished], *, interrupted: bool) -> ExitCode:
    """The exit code of a batch that ended so."""
    states = {end.state for end in finished}
    if interrupted:
        return ExitCode.INTERRUPTED
    if State.FAILED not in states:
        return ExitCode.ALL_DONE
    return ExitCode.NOTHING_DONE if states == {State.FAILED} else ExitCode.SOME_FAILED


def better_weights_line(
    options: NetworkOptions, weights: WeightsEntry, reports: Sequence[Report]
) -> str:
    """Name weights better than the bundled ones, for the summary; "" if there are none to name.

    None are named where another network was chosen, or photo weights for an input, where downloads
    are switched off, and where better weights are here. A person at a terminal is told once, a log
    every time.
    """
    offline = options.offline or is_switched_on("SRCLI_OFFLINE")
    if options.model not in (AUTO, MODEL) or weights.source is not Source.BOX or offline:
        return ""
    if any(choice.model != clean_model(options.model) for r in reports for choice in r.choices):
        return ""  # the better ones are for clean images
    better = better_than(weights)
    if better is None or (sys.stdout.isatty() and not _first_time()):
        return ""
    figures = f"Set5 {figure_of(better):.2f} dB, not {figure_of(weights):.2f}"
    return f"-m {better.model} is sharper on clean images ({figures})"


def _first_time() -> bool:
    """Record that the line was shown; True the first time."""
    notice = records() / _NOTICE_FILE
    if notice.exists():
        return False
    with contextlib.suppress(OSError):  # a folder that cannot be written: shown again next time
        notice.parent.mkdir(parents=True, exist_ok=True)
        notice.touch()
    return True
