"""One training step: patches in, gradients out."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from srcli.data.patches import PatchBatch
from srcli.errors import LossDiverged, UsageError
from srcli.inference.device import one_memory_error
from srcli.training.checkpoint import write_whole
from srcli.training.config import TrainingConfig
from srcli.training.losses import (
    error_map,
    estimator_correlation,
    restoration_loss,
    uncertainty_loss,
)
from srcli.training.network import PatchOutput
from srcli.training.processes import Processes
from srcli.training.schedule import Rates
from srcli.training.state import TrainingState

__all__ = ["Figures", "Stepper"]


@dataclass(frozen=True)
class Figures:
    """What one step shows, as tensors on the device, so that nothing waits for it.

    Args:
        restoration: L1 to the originals in 8-bit units, a scalar.
        uncertainty: Uncertainty loss, a scalar.
        gradient: Norm of the gradient before clipping, a scalar.
        correlation: (L,), of log confidence with log 1/error.
        live_windows: (L,), share of windows computed.
        teacher: L1 to the teacher's outputs in 8-bit units, a scalar; None without a teacher.
    """

    restoration: Tensor
    uncertainty: Tensor
    gradient: Tensor
    correlation: Tensor
    live_windows: Tensor
    teacher: Tensor | None = None


class Stepper:
    """Takes the steps of a run.

    Args:
        config: The run.
        state: Changed by every step.
        network: The patch network over `state.network`, compiled or shared as the run wants it.
        processes: Who trains together.
        dtype: Of the network's computations; bf16 is mixed with fp32.
        folder: Where a batch goes that makes the loss diverge.
    """

    def __init__(
        self,
        config: TrainingConfig,
        state: TrainingState,
        network: nn.Module,
        processes: Processes,
        *,
        dtype: torch.dtype,
        folder: Path,
    ) -> None:
        self._config = config
        self._state = state
        self._network = network
        self._processes = processes
        self._dtype, self._folder = dtype, folder
        self._parameters = list(state.network.parameters())

    def take(self, batch: PatchBatch, rates: Rates) -> Figures:
        """Take one step.

        Raises:
            LossDiverged: The gradient is not finite; the weights are as they were before the
                step, and the batch is saved.
            UsageError: There is not enough memory for it.
        """
        try:
            with one_memory_error():
                return self._take(batch, rates)
        except torch.OutOfMemoryError as error:
            count, _, height, width = batch.lr.shape
            raise UsageError(
                f"not enough memory on {self._processes.device} for a step of {count} patches of "
                f"{width}x{height} LR px: {_remedy(batch.step)}"
            ) from error

    def _take(self, batch: PatchBatch, rates: Rates) -> Figures:
        loss = self._config.loss
        threshold = 1.0 - loss.eps if rates.halting else math.inf
        device = self._processes.device
        lr, hr = _pixels(batch.lr, device), _pixels(batch.hr, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            output: PatchOutput = self._network(lr, threshold)
        image = output.image.float()
        error = error_map(image, hr)
        objective = restoration_loss(error)
        teacher = None
        if batch.teacher is not None:
            teacher = restoration_loss(error_map(image, _pixels(batch.teacher, device)))
            objective = rates.teacher * teacher + (1.0 - rates.teacher) * objective
        known = len(error) - batch.own_size  # patches of which there is an original
        error, confidence = error[:known], output.confidence.float()[:known]
        restoration, uncertainty = restoration_loss(error), uncertainty_loss(confidence, error)
        self._state.network.zero_grad()
        torch.autograd.backward(objective + loss.uncertainty * uncertainty)
        gradient = nn.utils.clip_grad_norm_(self._parameters, loss.clip or math.inf)
        if not math.isfinite(gradient.item()):
            raise self._diverged(batch)
        self._state.update(rates)
        correlation = estimator_correlation(confidence, error)
        return Figures(
            restoration, uncertainty, gradient, correlation, output.live_windows, teacher
        )

    def _diverged(self, batch: PatchBatch) -> LossDiverged:
        """Save the batch and say where it is."""
        path = self._folder / f"diverged-step{batch.step}-rank{self._processes.rank}.safetensors"
        notes = {"seed": self._config.run.seed, "step": batch.step}
        try:
            taught = {} if batch.teacher is None else {"teacher": batch.teacher}
            write_whole(path, {"lr": batch.lr, "hr": batch.hr, **taught}, notes)
            saved = f"is in {path}"
        except OSError as error:
            saved = f"could not be saved ({error.strerror})"
        return LossDiverged(
            f"the loss is not finite at step {batch.step} (seed {self._config.run.seed}); its "
            f"batch {saved}"
        )


def _remedy(step: int) -> str:
    """What to do where memory does not suffice after `step` steps."""
    if step == 0:
        return "lower data.batch or data.patch"
    return "free some and --resume; data.batch and data.patch can be lower in a new run only"


def _pixels(patches: Tensor, device: torch.device) -> Tensor:
    """uint8 to [0, 1] on the device, channels last."""
    return patches.to(device, non_blocking=True).float() / 255.0
