"""Events as JSON lines on stdout; the schema is in docs/scripting.md."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Self

from srcli.cli.reporter import BatchReporter, RunSummary
from srcli.jobs.job import Finished, Job, State

__all__ = ["JsonReporter", "emit"]


def emit(event: str, fields: Mapping[str, object]) -> None:
    """Write one event, in ASCII alone, so that any name survives any pipe."""
    line = json.dumps({"event": event, "time": round(time.time(), 3), **fields})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class JsonReporter(BatchReporter):
    """Writes events on stdout; another reporter shows the progress on stderr."""

    def __init__(self, shown: BatchReporter) -> None:
        super().__init__()
        self._shown = shown

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.__exit__(*error)

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Finished]) -> None:
        """See `BatchReporter`."""
        for job in jobs:
            emit("planned", _names(job) | {"format": job.image_format})
        for end in skipped:
            emit("skipped", _names(end.job) | {"reason": end.reason})
        self._shown.planned(jobs, skipped)

    def summary(self, run: RunSummary) -> None:
        """See `BatchReporter`: the event alone."""
        counts = Counter(end.state for end in run.finished)
        totals = {state.value: counts[state] for state in State}
        further = {
            "ignored": dict(run.ignored.counts()),
            "seconds": round(run.seconds, 3),
            **({"device": run.device} if run.device else {}),
            "exit_code": int(run.code),
        }
        emit("summary", totals | further)

    def note(self, text: str) -> None:
        """See `BatchReporter`."""
        self._shown.note(text)

    def begun(self, job: Job) -> None:
        """See `BatchReporter`."""
        emit("started", _names(job))
        self._shown.begun(job)

    def tile(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`."""
        emit("tile", {"input": str(job.source), "done": done, "total": total})
        self._shown.tile(job, done, total)

    def progress(self, job: Job, share: float) -> None:
        """See `BatchReporter`: no event, tiles are counted."""
        self._shown.progress(job, share)

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`."""
        emit("page", {"input": str(job.source), "done": done, "total": total})
        self._shown.page(job, done, total)

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`."""
        emit("frame", {"input": str(job.source), "done": done, "total": total})
        self._shown.frame(job, done, total)

    def finished(self, end: Finished) -> None:
        """See `BatchReporter`."""
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
