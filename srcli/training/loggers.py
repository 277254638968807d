"""Those who watch a run: a log for machines and lines for people."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TextIO, cast

from srcli.training.reports import StepReport, TeacherReport, ValidationReport

__all__ = [
    "JsonLogger",
    "LineLogger",
    "describe_figures",
    "describe_layers",
    "describe_losses",
    "describe_pace",
    "describe_teacher",
    "describe_teacher_pass",
    "describe_validation",
]


class JsonLogger:
    """Appends one JSON object a line to a file; where the disk refuses, the run continues without.

    Args:
        path: The file; made if need be, its folder too, never emptied.
        tell: Told once, in a line, that an entry could not be written.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path, self._tell = path, tell
        self._told = False

    def on_step(self, report: StepReport) -> None:
        """Log some steps."""
        self._append({"event": "steps", **asdict(report)})

    def on_teacher(self, report: TeacherReport) -> None:
        """Log how far the teacher's outputs are."""
        self._append({"event": "teacher", **asdict(report)})

    def on_validation(self, report: ValidationReport) -> None:
        """Log a validation."""
        self._append({"event": "validation", **asdict(report)})

    def note(self, line: str) -> None:
        """Log what has been done."""
        self._append({"event": "note", "line": line})

    def warn(self, line: str) -> None:
        """Log a warning."""
        self._append({"event": "warning", "line": line})

    def _append(self, entry: dict[str, object]) -> None:
        line = json.dumps(_finite(entry), allow_nan=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            if not self._told:
                self._told = True
                self._tell(f"{self._path} lacks entries from here: {error.strerror}")


def _finite(value: object) -> object:
    """`value` with null for numbers that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[object]", value)]
    return value


class LineLogger:
    """Writes a line for each report.

    Args:
        stream: Where to; stderr as a rule.
        on_line: Called after each line.
    """

    def __init__(self, stream: TextIO, on_line: Callable[[], None] | None = None) -> None:
        self._stream, self._on_line = stream, on_line

    def on_step(self, report: StepReport) -> None:
        """Say how far the run is, and its figures."""
        self._say(f"{100 * report.done:5.1f} % step {report.step}  {describe_figures(report)}")

    def on_teacher(self, report: TeacherReport) -> None:
        """Say how far the teacher's outputs are."""
        self._say(describe_teacher_pass(report))

    def on_validation(self, report: ValidationReport) -> None:
        """Say the PSNR of each set."""
        self._say(describe_validation(report))

    def note(self, line: str) -> None:
        """Say what has been done."""
        self._say(line)

    def warn(self, line: str) -> None:
        """Show a warning."""
        self._say(f"warning: {line}")

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
        if self._on_line is not None:
            self._on_line()


def describe_figures(report: StepReport) -> str:
    """The figures of some steps in one line."""
    parts = (
        describe_losses(report),
        describe_teacher(report),
        describe_pace(report),
        describe_layers(report),
    )
    return "  ".join(part for part in parts if part)


def describe_losses(report: StepReport) -> str:
    """The losses in words."""
    return (
        f"L1 {report.restoration:.3f}  uncertainty {report.uncertainty:.2f}  "
        f"gradient {report.gradient:.1f}  lr {report.learning_rate:.1e}"
    )


def describe_teacher(report: StepReport) -> str:
    """The distance to the teacher and its weight in the loss; empty without a teacher."""
    if report.teacher is None or report.teacher_weight is None:
        return ""
    return f"teacher L1 {report.teacher:.3f}  weight {report.teacher_weight:.2f}"


def describe_teacher_pass(report: TeacherReport) -> str:
    """Progress of the teacher's outputs in words, with the time left."""
    words = f"teacher: {report.images} of {report.of} images"
    if report.seconds_left is None or report.images == report.of:
        return words
    minutes, seconds = divmod(round(report.seconds_left), 60)
    return f"{words}  time left {minutes // 60}:{minutes % 60:02}:{seconds:02}"


def describe_pace(report: StepReport) -> str:
    """Speed in words."""
    return f"{report.samples_per_second:.2f} samples/s  waiting {100 * report.waiting:.0f} %"


def describe_layers(report: StepReport) -> str:
    """Correlation and live share of each layer; empty for a network without layers."""
    if not report.live_windows:
        return ""
    correlation = " ".join(f"{value:.2f}" for value in report.correlation)
    live = " ".join(f"{100 * value:.0f}" for value in report.live_windows)
    return f"correlation {correlation}  live {live} %"


def describe_validation(report: ValidationReport) -> str:
    """The PSNR of each set in one line."""
    words = [f"step {report.step}  PSNR-Y"]
    words += [f"{name} {value:.3f}" for name, value in report.exact.items()]
    if report.balanced:
        words.append("halting:")
        words += [f"{name} {value:.3f}" for name, value in report.balanced.items()]
    return "  ".join(words)
