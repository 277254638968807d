"""The progress of `srcli train` on a terminal: a bar on one line, the figures on two below it."""

from collections.abc import Iterable
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from srcli.training.loggers import (
    describe_layers,
    describe_losses,
    describe_pace,
    describe_teacher,
    describe_teacher_pass,
    describe_validation,
)
from srcli.training.reports import StepReport, TeacherReport, ValidationReport

__all__ = ["TrainingBar"]


class TrainingBar:
    """Watches a run and shows how far it is; used as a context manager.

    Args:
        console: Where it is drawn.
        every: Steps between reports.
    """

    def __init__(self, console: Console, every: int) -> None:
        self._progress = _WithFigures(
            TaskProgressColumn("{task.percentage:>3.0f} %"),
            BarColumn(None, table_column=Column(ratio=1)),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            expand=True,
        )
        wait = f"{every} step{'s' * (every > 1)}"
        self._progress.figures = (Text(f"the first figures come after {wait}"),)
        self._task = self._progress.add_task("time left -:--:--", total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_step(self, report: StepReport) -> None:
        """Move the bar, and show the figures."""
        lines = (
            f"step {report.step}  {describe_losses(report)}",
            describe_teacher(report),
            describe_layers(report),
        )
        self._progress.figures = tuple(Text(line) for line in lines if line)
        words = f"time left {_time_left(report)}  {describe_pace(report)}"
        self._progress.update(self._task, completed=report.done, description=words)

    def on_teacher(self, report: TeacherReport) -> None:
        """Show how far the teacher's outputs are, below the bar."""
        self._progress.figures = (Text(describe_teacher_pass(report)),)

    def on_validation(self, report: ValidationReport) -> None:
        """Say the PSNR of each set above the bar."""
        self._say(describe_validation(report))

    def note(self, line: str) -> None:
        """Say what has been done above the bar."""
        self._say(line)

    def warn(self, line: str) -> None:
        """Show a warning above the bar."""
        self._say(f"warning: {line}")

    def finish(self) -> None:
        """Show that the run has ended."""
        self._progress.update(self._task, completed=1.0)

    def _say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _WithFigures(Progress):
    """Bars, and lines below them."""

    figures: tuple[RenderableType, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from self.figures


def _time_left(report: StepReport) -> str:
    """As h:mm:ss, by the pace of the whole run, earlier parts of a resumed one included."""
    if report.done <= 0:
        return "-:--:--"
    minutes, seconds = divmod(round(60 * report.minutes * (1.0 - report.done) / report.done), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
