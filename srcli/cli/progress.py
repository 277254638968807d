"""Progress on stderr: bars on a terminal, plain lines elsewhere."""

import sys
import time
from pathlib import Path
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

from srcli.cli.console import echo_line, in_words, printable
from srcli.cli.events import JsonReporter
from srcli.cli.reporter import BatchReporter, RunSummary
from srcli.cli.summary import amount_of, by_layer
from srcli.jobs.job import Finished, Job, State

__all__ = ["PlainReporter", "QuietReporter", "reporter_for"]

_CLIP_SECONDS = 10.0  # between two lines of a log
_IMAGE_SECONDS = 30.0


class ClipPace:
    """Watches one clip after the other."""

    def __init__(self) -> None:
        self._clip: Path | None = None
        self._begun = 0.0
        self._shown = 0.0
        self._before = 0

    def due(self, clip: Path, done: int) -> bool:
        """Note that `done` frames are done; whether it is time for another line."""
        now = time.monotonic()
        if clip != self._clip:
            self._clip, self._begun, self._shown, self._before = clip, now, now, done
            return done > 0  # a former run has left some: worth a line
        if now - self._shown < _CLIP_SECONDS:
            return False
        self._shown = now
        return True

    def rate(self, done: int) -> float:
        """Frames a second in this run."""
        passed = time.monotonic() - self._begun
        return (done - self._before) / passed if passed > 0 else 0.0

    def words(self, done: int, total: int) -> str:
        """`240 of 3000 frames, 3.1 fps, 14:50 left`."""
        of = f" of {total}" if total else ""
        rate = self.rate(done)
        if not rate:
            return f"continuing after {done}{of} frames"
        minutes, seconds = divmod(round(max(total - done, 0) / rate), 60)
        left = f", {minutes}:{seconds:02} left" if total else ""
        return f"{done}{of} frames, {rate:.1f} fps{left}"


class ImagePace:
    """Watches one image after the other, for lines of a log about those that take long."""

    def __init__(self) -> None:
        self._image: Path | None = None
        self._share = self._begin = 0.0  # the latest, and the first that was heard of
        self._begun = 0.0
        self._shown = 0.0

    def line(self, image: Path, share: float) -> str:
        """`40 %, about 50 s left` twice a minute; "" between.

        Args:
            image: What is computed.
            share: Of it, in (0, 1].
        """
        now = time.monotonic()
        if image != self._image or share < self._share:
            self._image, self._begun, self._shown, self._begin = image, now, now, share
        self._share = share
        if now - self._shown < _IMAGE_SECONDS or share >= 1:
            return ""
        self._shown = now
        left = (now - self._begun) * (1 - share) / max(share - self._begin, 1e-6)
        return f"{share:.0%}, about {in_words(left)} left"


class PlainReporter(BatchReporter):
    """A line for each file, for logs and pipes."""

    def __init__(self, files: int, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._files = files
        self._ended = 0
        self._pace = ClipPace()
        self._image = ImagePace()

    def note(self, text: str) -> None:
        """See `BatchReporter`."""
        echo_line(text)

    def progress(self, job: Job, share: float) -> None:
        """See `BatchReporter`: a line now and then for what takes long."""
        line = self._image.line(job.source, share)
        if line:
            self.note(f"{job.source}: {line}")

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`."""
        self.note(f"{job.source}: page {done} of {total}")

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`: a line now and then, for clips take long."""
        if self._pace.due(job.source, done):
            self.note(f"{job.source}: {self._pace.words(done, total)}")

    def finished(self, end: Finished) -> None:
        """See `BatchReporter`."""
        self._ended += 1
        if end.report is not None:
            sys.stderr.write(
                f"[{self._ended}/{self._files}] {printable(end.job.source)} -> "
                f"{printable(end.job.target)}  "
                f"{amount_of([end.report])} in {end.report.seconds:.1f} s"
                f"{_live(end.report.live_windows) if self._verbose else ''}\n"
            )
        self._note_problems(end)


def _live(shares: tuple[float, ...]) -> str:
    """The share of windows each layer computed, in words; empty for a network without layers."""
    return f", computed {by_layer(shares)} by layer" if shares else ""


class BarReporter(BatchReporter):
    """A bar for the files, and one for what the network is at."""

    def __init__(self, files: int, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
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
        self._pace = ClipPace()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """See `BatchReporter`."""
        self._progress.console.print(
            f"srcli: {printable(text)}", markup=False, highlight=False, soft_wrap=True
        )

    def progress(self, job: Job, share: float) -> None:
        """See `BatchReporter`."""
        begins = job.source != self._current
        if begins:
            self._current = job.source
            self._progress.reset(self._one, total=100, description=_title(job))
        self._progress.update(
            self._one, completed=int(share * 100), total=100, visible=True, refresh=begins
        )

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`: the next page is what tiles are of from now on."""
        after = min(done + 1, total)
        self._progress.reset(self._one, total=100, description=f"{_title(job)} {after}/{total}")

    def frame(self, job: Job, done: int, total: int) -> None:
        """See `BatchReporter`."""
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
        """See `BatchReporter`."""
        self._progress.advance(self._all)
        self._progress.update(self._one, visible=False, unit="%")
        self._note_problems(end)


def _title(job: Job) -> str:
    """A name beside a bar, where brackets would be taken for colours."""
    return escape(printable(job.source.name))


class QuietReporter(PlainReporter):
    """Shows failures only."""

    def summary(self, run: RunSummary) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def progress(self, job: Job, share: float) -> None:
        """Show nothing."""

    def finished(self, end: Finished) -> None:
        """See `BatchReporter`."""
        if end.state is State.FAILED:
            super().note(end.reason)


def reporter_for(
    files: int, *, quiet: bool = False, json: bool = False, verbose: bool = False
) -> BatchReporter:
    """Choose a reporter: bars if stderr is a terminal, else lines; failures alone if quiet.

    Args:
        files: Number of jobs.
        quiet: Show failures only.
        json: Also write events on stdout.
        verbose: Show every skipped input, and shares by layer.
    """
    kind = QuietReporter if quiet else BarReporter if sys.stderr.isatty() else PlainReporter
    shown = kind(files, verbose=verbose)
    return JsonReporter(shown) if json else shown
