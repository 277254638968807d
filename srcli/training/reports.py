"""Reports of a run's progress, and the interface of its loggers."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["StepReport", "TeacherReport", "TrainingLogger", "ValidationReport"]


@dataclass(frozen=True)
class StepReport:
    """Means over the steps since the last report.

    Args:
        step: Steps done.
        done: Share of the run that is done, in [0, 1].
        minutes: Minutes so far, earlier parts of a resumed run included.
        restoration: L1 to the originals in 8-bit units.
        uncertainty: Uncertainty loss, summed over layers.
        gradient: Norm of the gradient before clipping.
        learning_rate: The backbone's, now.
        halting: Whether tokens halt.
        samples_per_second: Patches, over all processes.
        waiting: Share of the time spent waiting for data, in [0, 1].
        correlation: For each layer, of log confidence with log 1/error, in [-1, 1].
        live_windows: For each layer, the share of windows computed, in [0, 1].
        teacher: L1 to the teacher's outputs in 8-bit units; None without a teacher.
        teacher_weight: Weight of that distance in the loss, now, in [0, 1]; None likewise.
    """

    step: int
    done: float
    minutes: float
    restoration: float
    uncertainty: float
    gradient: float
    learning_rate: float
    halting: bool
    samples_per_second: float
    waiting: float
    correlation: tuple[float, ...]
    live_windows: tuple[float, ...]
    teacher: float | None = None
    teacher_weight: float | None = None


@dataclass(frozen=True)
class TeacherReport:
    """Progress of the teacher's outputs, which are computed before the first step.

    Args:
        images: Outputs that there are.
        of: Outputs that are needed.
        seconds_left: What the rest takes at the pace so far; None before there is one.
    """

    images: int
    of: int
    seconds_left: float | None


@dataclass(frozen=True)
class ValidationReport:
    """PSNR-Y in dB of the averaged weights; at the end of a run, of the weights as exported.

    Args:
        step: Steps done.
        minutes: Minutes so far.
        exact: By set, nothing halting.
        balanced: By set, with halting; empty before the last phase.
    """

    step: int
    minutes: float
    exact: dict[str, float]
    balanced: dict[str, float]


@runtime_checkable
class TrainingLogger(Protocol):
    """Whoever wants to know: a log, a progress bar."""

    def on_step(self, report: StepReport) -> None:
        """Some steps are done."""

    def on_teacher(self, report: TeacherReport) -> None:
        """Some of the teacher's outputs are computed."""

    def on_validation(self, report: ValidationReport) -> None:
        """The validation sets have been measured."""

    def note(self, line: str) -> None:
        """Something has been done that took a while."""

    def warn(self, line: str) -> None:
        """Show a warning; the run continues."""
