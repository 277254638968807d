"""Events as JSON lines on stdout; the schema is in docs/scripting.md."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Self

from srcli.cli.progress import BatchProgress
from srcli.jobs.job import Finished, Job, State

__all__ = ["EventProgress", "emit", "emit_plan", "emit_summary"]


def emit(event: str, fields: Mapping[str, object]) -> None:
    """Write one event, in ASCII alone, so that any name survives any pipe."""
    line = json.dumps({"event": event, "time": round(time.time(), 3), **fields})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def emit_plan(todo: Sequence[Job], skipped: Sequence[Finished]) -> None:
    """Write what will be done, and what is skipped."""
    for job in todo:
        emit("planned", _names(job) | {"format": job.image_format})
    for end in skipped:
        emit("skipped", _names(end.job) | {"reason": end.reason})


def emit_summary(
    finished: Sequence[Finished], ignored: Mapping[str, int], *, seconds: float, exit_code: int
) -> None:
    """Write what it came to; `ignored` counts what was passed over, by suffix or name."""
    counts = Counter(end.state for end in finished)
    totals = {state.value: counts[state] for state in State}
    further = {"ignored": dict(ignored), "seconds": round(seconds, 3), "exit_code": int(exit_code)}
    emit("summary", totals | further)


class EventProgress(BatchProgress):
    """Writes events, and shows what `shown` shows."""

    def __init__(self, shown: BatchProgress) -> None:
        self._shown = shown

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def note(self, text: str) -> None:
        """See `BatchProgress`."""
        self._shown.note(text)

    def begun(self, job: Job) -> None:
        """See `BatchProgress`."""
        emit("started", _names(job))
        self._shown.begun(job)

    def tile(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`."""
        emit("tile", {"input": str(job.source), "done": done, "total": total})
        self._shown.tile(job, done, total)

    def progress(self, job: Job, share: float) -> None:
        """See `BatchProgress`: no event, tiles are counted."""
        self._shown.progress(job, share)

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`."""
        emit("page", {"input": str(job.source), "done": done, "total": total})
        self._shown.page(job, done, total)

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`."""
        emit("frame", {"input": str(job.source), "done": done, "total": total})
        self._shown.frame(job, done, total)

    def finished(self, end: Finished) -> None:
        """See `BatchProgress`."""
        fields: dict[str, object] = dict(_names(end.job))
        if end.reason:
            fields["reason"] = end.reason
        if end.report is not None:
            fields["seconds"] = round(end.report.seconds, 3)
            fields["megapixels"] = round(end.report.megapixels, 3)
            fields["losses"] = list(end.losses)
            if end.report.choices:
                fields["weights"] = [asdict(choice) for choice in end.report.choices]
        emit(end.state.value, fields)
        self._shown.finished(end)


def _names(job: Job) -> dict[str, str]:
    return {"input": str(job.source), "output": str(job.target)}
