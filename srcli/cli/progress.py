"""Progress on stderr: bars on a terminal, plain lines elsewhere."""

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from srcli.cli.console import echo_line, printable
from srcli.cli.pace import ImagePace, VideoProgress
from srcli.cli.summary import by_layer
from srcli.jobs.job import Finished, Job, State

__all__ = ["BatchProgress", "progress_for"]


class BatchProgress(ABC):
    """Shows how a batch goes on; used as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    @abstractmethod
    def note(self, text: str) -> None:
        """Say something once, beside the progress."""

    def begun(self, job: Job) -> None:
        """The network begins with an image."""
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

    def _tell_trouble(self, end: Finished) -> None:
        """One line for a failure, and one for everything that a format could not hold."""
        if end.state is State.FAILED:
            self.note(end.reason)
        for loss in end.losses:
            named = loss.startswith((str(end.job.target), str(end.job.source)))
            self.note(loss if named else f"{end.job.target}: {loss}")
        if end.report is not None and end.report.restarts:
            self.note(f"{end.job.source}: memory ran out, begun again with smaller tiles")
        if end.report is not None and not end.report.exact:
            self.note(
                f"{end.job.source}: overlapping tiles were blended, which is not quite what "
                "the whole image gives; more free memory, or --tile 0, gives that"
            )


class PlainProgress(BatchProgress):
    """A line for each file, for logs and pipes."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._ended = 0
        self._pace = VideoProgress()
        self._image = ImagePace()

    def note(self, text: str) -> None:
        """See `BatchProgress`."""
        echo_line(text)

    def progress(self, job: Job, share: float) -> None:
        """See `BatchProgress`: a line now and then for what takes long."""
        line = self._image.line(job.source, share)
        if line:
            self.note(f"{job.source}: {line}")

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`."""
        self.note(f"{job.source}: page {done} of {total}")

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`: a line now and then, for clips take long."""
        if self._pace.due(job.source, done):
            self.note(f"{job.source}: {self._pace.words(done, total)}")

    def finished(self, end: Finished) -> None:
        """See `BatchProgress`."""
        self._ended += 1
        if end.report is not None:
            sys.stderr.write(
                f"[{self._ended}/{self._files}] {printable(end.job.source)} -> "
                f"{printable(end.job.target)}  "
                f"{end.report.megapixels:.1f} Mpx in {end.report.seconds:.1f} s"
                f"{_live(end.report.live_windows)}\n"
            )
        self._tell_trouble(end)


def _live(shares: tuple[float, ...]) -> str:
    """The share of windows each layer computed, in words; empty for a network without layers."""
    return f", computed {by_layer(shares)} by layer" if shares else ""


class BarProgress(BatchProgress):
    """A bar for the files, and one for what the network is at."""

    def __init__(self, files: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self._progress.add_task("upscaling", total=files, unit="files")
        self._one = self._progress.add_task("", total=None, unit="%", visible=False)
        self._current: Path | None = None
        self._pace = VideoProgress()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """See `BatchProgress`."""
        self._progress.console.print(
            f"srcli: {printable(text)}", markup=False, highlight=False, soft_wrap=True
        )

    def progress(self, job: Job, share: float) -> None:
        """See `BatchProgress`."""
        begins = job.source != self._current
        if begins:
            self._current = job.source
            self._progress.reset(self._one, total=100, description=_title(job))
        self._progress.update(
            self._one, completed=int(share * 100), total=100, visible=True, refresh=begins
        )

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`: the next page is what tiles are of from now on."""
        after = min(done + 1, total)
        self._progress.reset(self._one, total=100, description=f"{_title(job)} {after}/{total}")

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchProgress`."""
        self._pace.due(job.source, done)
        name = f"{_title(job)} ({self._pace.rate(done):.1f} fps)"
        if job.source != self._current:
            self._current = job.source
            self._progress.reset(self._one)
        self._progress.update(
            self._one,
            completed=done,
            total=total or None,
            description=name,
            visible=True,
            unit="frames",
        )

    def finished(self, end: Finished) -> None:
        """See `BatchProgress`."""
        self._progress.advance(self._all)
        self._progress.update(self._one, visible=False, unit="%")
        self._tell_trouble(end)


def _title(job: Job) -> str:
    """A name beside a bar, where brackets would be taken for colours."""
    return escape(printable(job.source.name))


class QuietProgress(PlainProgress):
    """Failures alone."""

    def note(self, text: str) -> None:
        """Nothing."""

    def progress(self, job: Job, share: float) -> None:
        """Nothing."""

    def finished(self, end: Finished) -> None:
        """See `BatchProgress`."""
        if end.state is State.FAILED:
            super().note(end.reason)


def progress_for(files: int, *, quiet: bool = False) -> BatchProgress:
    """Bars if stderr is a terminal, else lines; failures alone if quiet."""
    if quiet:
        return QuietProgress(files)
    return BarProgress(files) if sys.stderr.isatty() else PlainProgress(files)
