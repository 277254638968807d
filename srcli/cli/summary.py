"""Summary of a batch: the table at its end, and the exit code."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from srcli.cli.console import echo_fields
from srcli.errors import ExitCode
from srcli.inference.report import Report, add_reports
from srcli.jobs.job import Finished, State

__all__ = ["by_layer", "exit_code", "print_summary"]

_SHOWN_FAILURES = 20


def print_summary(
    finished: Sequence[Finished],
    *,
    seconds: float,
    ignored: Sequence[str] = (),
    better: str = "",
    compared: str = "",
    verbose: bool = False,
) -> None:
    """Print to stdout what was done, skipped and failed, and where the results are.

    Args:
        finished: How each job ended.
        seconds: Wall time of the batch.
        ignored: What was passed over, one line each.
        better: That there are better weights, if so; said only if something was done.
        compared: The page that compares, and what it shows.
        verbose: Show shares by layer, too.
    """
    counts = Counter(end.state for end in finished)
    rows = [(state.value, str(counts[state])) for state in State]
    for reason, count in Counter(_reason(end) for end in finished if _skipped(end)).items():
        rows.append(("  skipped", f"{count}: {reason}"))
    rows += [("ignored", line) for line in ignored]
    reports = [end.report for end in finished if end.report is not None]
    rows += _work(finished, reports, seconds, verbose=verbose)
    losing = sum(bool(end.losses) for end in finished)
    if losing:
        rows.append(("not kept", f"parts of {losing} inputs, listed above"))
    failures = [end for end in finished if end.state is State.FAILED]
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
    if not reports:
        return
    megapixels = sum(r.megapixels for r in reports)
    network = sum(r.seconds for r in reports)
    yield "results", str(_place([end.job.target for end in finished if end.report]))
    yield "output", f"{megapixels:.1f} Mpx"
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


def _reason(end: Finished) -> str:
    """Why an input was skipped, without its own name, so that equal reasons add up."""
    return end.reason.replace(str(end.job.target), "the output")


def _place(targets: Sequence[Path]) -> str:
    """The result, or the folder that holds all of them."""
    if len(targets) == 1:
        return str(targets[0])
    return str(Path(os.path.commonpath([target.parent for target in targets])))


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
