"""Summary of a batch: the table at its end, and the exit code."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from srcli.cli.console import printable
from srcli.errors import ExitCode
from srcli.inference.report import add_reports
from srcli.jobs.job import Finished, State

__all__ = ["by_layer", "exit_code", "print_summary"]

_SHOWN_FAILURES = 20


def print_summary(finished: Sequence[Finished], *, seconds: float, better: str = "") -> None:
    """Print to stdout what was done, skipped and failed, how fast, and how much was live.

    Args:
        finished: How each job ended.
        seconds: Wall time of the batch.
        better: That there are better weights, if so; said only if something was done.
    """
    counts = Counter(end.state for end in finished)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for state in State:
        table.add_row(state.value, str(counts[state]))
    reports = [end.report for end in finished if end.report is not None]
    if reports:
        megapixels = sum(r.megapixels for r in reports)
        network = sum(r.seconds for r in reports)
        table.add_row("output", f"{megapixels:.1f} Mpx, {megapixels / seconds:.2f} Mpx/s")
        table.add_row("time", f"{seconds:.1f} s, of which network {network:.1f} s")
        live = add_reports(reports).live_windows
        if live:
            computed = f"{sum(live) / len(live):.0%} of attention windows"
            table.add_row("computed", f"{computed} ({by_layer(live)} by layer)")
        reruns = sum(r.reruns for r in reports)
        if reruns:
            table.add_row("rerun", f"{reruns} tiles in fp32 (not finite in lower precision)")
        blended = sum(not r.exact for r in reports)
        if blended:
            table.add_row("blended", f"{blended} of {len(reports)}, from overlapping tiles")
    failures = [end for end in finished if end.state is State.FAILED]
    for end in failures[:_SHOWN_FAILURES]:
        table.add_row("  failed", printable(end.reason))
    if len(failures) > _SHOWN_FAILURES:
        table.add_row("  failed", f"and {len(failures) - _SHOWN_FAILURES} more, listed above")
    if better and reports:
        table.add_row("weights", better)
    Console().print(table, markup=False, highlight=False)


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
