"""One interface for everything that a batch shows: bars, plain lines, JSON events, or nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from srcli.cli.summary import print_summary
from srcli.errors import ExitCode
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import Finished, Job, State

__all__ = ["BatchReporter", "RunSummary"]

_SKIPS_SHOWN = 3  # without -v; the summary has the reasons of all


@dataclass(frozen=True)
class RunSummary:
    """Outcome of a run.

    Args:
        finished: How each job ended.
        ignored: Files that were passed over.
        code: Exit code.
        seconds: Wall time.
        device: What computed, and in which precision; "" if nothing was computed.
        compared: Text about the page that compares, if there is one.
        better_weights: Text about better weights, called once if it is shown.
    """

    finished: Sequence[Finished]
    ignored: Ignored
    code: ExitCode
    seconds: float
    device: str
    compared: str
    better_weights: Callable[[], str]


class BatchReporter(ABC):
    """Shows the plan, the progress and the summary of a batch; used as a context manager.

    Args:
        verbose: Show every skipped input, and shares by layer.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Finished]) -> None:
        """Show the plan: skipped inputs, unless they are many; the summary counts these."""
        if self._verbose or len(skipped) <= _SKIPS_SHOWN:
            for end in skipped:
                self.note(f"{end.job.source}: skipped, {end.reason}")

    @abstractmethod
    def note(self, text: str) -> None:
        """Show one line, above the bars if there are any."""

    def begun(self, job: Job) -> None:
        """Begin an image: the network computes it from now on."""
        return

    def tile(self, job: Job, done: int, total: int) -> None:
        """A tile of an image is done."""
        return

    @abstractmethod
    def progress(self, job: Job, share: float) -> None:
        """A share, in (0, 1], of an image or of a page is done."""

    def page(self, job: Job, done: int, total: int) -> None:
        """A page of an image file with several is done."""
        return

    @abstractmethod
    def frame(self, job: Job, done: int, total: int) -> None:
        """A frame of a clip is done; `total` is 0 if not known. 0 of them: the clip begins."""

    @abstractmethod
    def finished(self, end: Finished) -> None:
        """A job has ended."""

    def summary(self, run: RunSummary) -> None:
        """Show the outcome of the run, after everything else."""
        print_summary(
            run.finished,
            seconds=run.seconds,
            ignored=run.ignored.lines(),
            better=run.better_weights(),
            compared=run.compared,
            device=run.device,
            verbose=self._verbose,
        )

    def _note_problems(self, end: Finished) -> None:
        """One line for a failure, for smaller or blended tiles, and for each loss of the format."""
        if end.state is State.FAILED:
            self.note(end.reason)
        for loss in end.losses:
            named = loss.startswith((str(end.job.target), str(end.job.source)))
            self.note(loss if named else f"{end.job.target}: {loss}")
        if end.report is not None and end.report.restarts:
            self.note(f"{end.job.source}: memory ran out, begun again with smaller tiles")
        if end.report is not None and not end.report.exact:
            self.note(
                f"{end.job.source}: computed in overlapping, blended tiles, which differ a "
                "little from the whole image; hint: more free memory, or --tile 0"
            )
