"""Decide about outputs that exist."""

import sys
from collections.abc import Sequence

import click

from srcli.cli.upscale_options import Handling
from srcli.errors import UsageError
from srcli.jobs.job import Finished, Job, State
from srcli.jobs.resume import OutputState, Verdict

__all__ = ["choose"]

_MISMATCHES = (OutputState.OUTDATED, OutputState.OTHERWISE, OutputState.ALTERED)
_UNASKED = {OutputState.OUTDATED: True, OutputState.OTHERWISE: True, OutputState.ALTERED: False}
_REMEDY = "; --on-mismatch redo does it again"


def choose(verdicts: Sequence[Verdict], handling: Handling) -> tuple[list[Job], list[Finished]]:
    """Part the jobs into those to do and those that are skipped.

    Raises:
        UsageError: Outputs do not match, and that shall fail.
    """
    if handling.overwrite:
        return [verdict.job for verdict in verdicts], []
    differing = [v for v in verdicts if v.standing in _MISMATCHES]
    if differing and handling.on_mismatch == "fail":
        raise UsageError(
            f"{differing[0].job.target}: {differing[0].reason} ({len(differing)} such outputs); "
            "use --on-mismatch redo or keep"
        )
    redo = {kind: _redoes(kind, differing, handling) for kind in {v.standing for v in differing}}
    todo: list[Job] = []
    skipped: list[Finished] = []
    for verdict in verdicts:
        if verdict.standing is OutputState.MISSING or redo.get(verdict.standing):
            todo.append(verdict.job)
        else:
            remedy = _REMEDY if verdict.standing in _MISMATCHES else ""
            skipped.append(Finished(verdict.job, State.SKIPPED, verdict.reason + remedy))
    return todo, skipped


def _redoes(kind: OutputState, differing: Sequence[Verdict], handling: Handling) -> bool:
    """Tell if outputs that differ so are made again."""
    if handling.on_mismatch != "ask":
        return handling.on_mismatch == "redo"
    silent = handling.json or handling.quiet or handling.dry_run
    if silent or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return _UNASKED[kind]
    such = [verdict for verdict in differing if verdict.standing is kind]
    question = f"{len(such)} outputs: {such[0].reason}. Make them again?"
    return click.confirm(question, default=_UNASKED[kind], err=True)
