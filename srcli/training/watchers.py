"""Those who watch a run: a log for machines and lines for people."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from srcli.training.reports import StepReport, ValidationReport

__all__ = ["JsonLog", "Lines", "describe_figures", "describe_validation"]


class JsonLog:
    """Appends one JSON object a line to a file.

    Args:
        path: The file; made if need be, its folder too, never emptied.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_step(self, report: StepReport) -> None:
        """Log some steps."""
        self._append({"event": "steps", **asdict(report)})

    def on_validation(self, report: ValidationReport) -> None:
        """Log a validation."""
        self._append({"event": "validation", **asdict(report)})

    def warn(self, line: str) -> None:
        """Log a warning."""
        self._append({"event": "warning", "line": line})

    def _append(self, entry: dict[str, object]) -> None:
        finite = json.loads(json.dumps(entry), parse_constant=lambda _: None)  # JSON has no NaN
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")


class Lines:
    """Writes a line for each report.

    Args:
        stream: Where to; stderr as a rule.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def on_step(self, report: StepReport) -> None:
        """Say how far the run is, and its figures."""
        self._say(f"{100 * report.done:5.1f} % step {report.step}  {describe_figures(report)}")

    def on_validation(self, report: ValidationReport) -> None:
        """Say the PSNR of each set."""
        self._say(describe_validation(report))

    def warn(self, line: str) -> None:
        """Say what is amiss."""
        self._say(f"warning: {line}")

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def describe_figures(report: StepReport) -> str:
    """The figures of some steps in one line."""
    correlation = " ".join(f"{value:.2f}" for value in report.correlation)
    live = " ".join(f"{100 * value:.0f}" for value in report.live_windows)
    line = (
        f"L1 {report.restoration:.3f}  uncertainty {report.uncertainty:.2f}  "
        f"gradient {report.gradient:.1f}  lr {report.learning_rate:.1e}  "
        f"{report.samples_per_second:.2f} samples/s  waiting {100 * report.waiting:.0f} %"
    )
    return f"{line}  correlation {correlation}  live {live} %" if live else line


def describe_validation(report: ValidationReport) -> str:
    """The PSNR of each set in one line."""
    words = [f"step {report.step}  PSNR-Y"]
    words += [f"{name} {value:.3f}" for name, value in report.exact.items()]
    if report.balanced:
        words.append("halting:")
        words += [f"{name} {value:.3f}" for name, value in report.balanced.items()]
    return "  ".join(words)
