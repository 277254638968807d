"""Decide about outputs that exist: keep them, make them again, ask, or fail."""

import sys
from collections.abc import Sequence

import click

from srcli.cli.console import printable
from srcli.cli.run_options import RunOptions
from srcli.errors import UsageError
from srcli.jobs.job import Finished, Job, State
from srcli.jobs.resume import OutputState, Verdict

__all__ = ["ask_or_default", "can_ask", "split_by_existing_output"]

_MISMATCHES = (OutputState.INPUT_CHANGED, OutputState.SETTINGS_CHANGED, OutputState.ALTERED)
_DEFAULTS = {
    OutputState.INPUT_CHANGED: True,
    OutputState.SETTINGS_CHANGED: True,
    OutputState.ALTERED: False,
}
"""Answer where nobody can be asked: True makes the output again."""
_REMEDY = "; hint: --on-mismatch redo makes it again"


def split_by_existing_output(
    verdicts: Sequence[Verdict], run: RunOptions
) -> tuple[list[Job], list[Finished]]:
    """Split the jobs into those to do and those that are skipped.

    Raises:
        UsageError: Outputs do not match, and --on-mismatch is fail.
    """
    if run.overwrite:
        return [verdict.job for verdict in verdicts], []
    mismatches = [v for v in verdicts if v.state in _MISMATCHES]
    if mismatches and run.on_mismatch == "fail":
        raise UsageError(
            f"{mismatches[0].job.target}: {mismatches[0].reason} ({len(mismatches)} such outputs); "
            "hint: --on-mismatch redo or keep"
        )
    redo = {state: _redoes(state, mismatches, run) for state in {v.state for v in mismatches}}
    jobs: list[Job] = []
    skipped: list[Finished] = []
    for verdict in verdicts:
        if verdict.state is OutputState.MISSING or redo.get(verdict.state):
            jobs.append(verdict.job)
        else:
            remedy = _REMEDY if verdict.state in _MISMATCHES else ""
            skipped.append(Finished(verdict.job, State.SKIPPED, verdict.reason + remedy))
    return jobs, skipped


def _redoes(state: OutputState, mismatches: Sequence[Verdict], run: RunOptions) -> bool:
    """True if outputs in this state are made again."""
    if run.on_mismatch != "ask":
        return run.on_mismatch == "redo"
    if run.json or run.quiet or run.dry_run:
        return _DEFAULTS[state]
    outputs = [verdict for verdict in mismatches if verdict.state is state]
    if len(outputs) == 1:
        question = f"{printable(outputs[0].job.target)}: {outputs[0].reason}. Make it again?"
    else:
        question = f"{len(outputs)} outputs: {outputs[0].reason}. Make them again?"
    return ask_or_default(question, default=_DEFAULTS[state])


def can_ask() -> bool:
    """True if a person at a terminal can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_or_default(question: str, *, default: bool) -> bool:
    """Ask on a terminal; without one the answer is `default`."""
    if can_ask():
        return click.confirm(question, default=default, err=True)
    return default
