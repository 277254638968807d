"""Turns what single steps show into reports."""

import time

import torch
from torch import Tensor

from srcli.training.distributed import ProcessGroup
from srcli.training.feed import Patches
from srcli.training.reports import StepReport
from srcli.training.schedule import Rates
from srcli.training.step import Figures

__all__ = ["Meter"]


class Meter:
    """Averages figures and counts samples and waiting since the last report.

    Args:
        loader: What has to be waited for.
        batch: Patches a step, over all processes.
    """

    def __init__(self, loader: Patches, batch: int) -> None:
        self._loader = loader
        self._batch = batch
        self.restart()

    def restart(self) -> None:
        """Begin again, forgetting what was added: after a pause, say."""
        self._sum: Tensor | None = None
        self._taught = False
        self._steps = 0
        self._since = time.perf_counter()
        self._waited = self._loader.waited

    def add(self, figures: Figures) -> None:
        """Count one step."""
        nothing = torch.zeros_like(figures.restoration)
        self._taught = figures.teacher is not None
        teacher = nothing if figures.teacher is None else figures.teacher
        flat = torch.cat(
            [
                torch.stack([figures.restoration, figures.uncertainty, figures.gradient, teacher]),
                figures.correlation,
                figures.live_windows,
            ]
        ).detach()
        self._sum = flat if self._sum is None else self._sum + flat
        self._steps += 1

    def report(
        self, processes: ProcessGroup, now: Rates, *, step: int, done: float, minutes: float
    ) -> StepReport:
        """The means since the last report, over all processes; then begin again."""
        assert self._sum is not None, "a report needs a step"
        means = [float(value) for value in processes.mean(self._sum / self._steps).cpu()]
        seconds = time.perf_counter() - self._since
        layers = (len(means) - 4) // 2
        report = StepReport(
            step=step,
            done=done,
            minutes=minutes,
            restoration=means[0],
            uncertainty=means[1],
            gradient=means[2],
            learning_rate=now.backbone,
            halting=now.halting,
            samples_per_second=self._steps * self._batch / seconds,
            waiting=(self._loader.waited - self._waited) / seconds,
            correlation=tuple(means[4 : 4 + layers]),
            live_windows=tuple(means[4 + layers :]),
            teacher=means[3] if self._taught else None,
            teacher_weight=now.teacher if self._taught else None,
        )
        self.restart()
        return report
