"""One training step: patches in, gradients out."""

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from srcli.data.patches import PatchBatch
from srcli.errors import LossDiverged, UsageError
from srcli.inference.device import as_out_of_memory
from srcli.training.accelerate import Graphs, Replay, in_a_line
from srcli.training.checkpoint import write_whole
from srcli.training.config import TrainingConfig
from srcli.training.distributed import ProcessGroup
from srcli.training.exit_losses import exit_loss
from srcli.training.losses import error_map, estimator_correlation, restoration_loss
from srcli.training.network import PatchOutput
from srcli.training.schedule import Rates
from srcli.training.state import TrainingState

__all__ = ["Figures", "StepOptions", "Stepper"]


@dataclass(frozen=True)
class Figures:
    """Results of one step, as tensors on the device, so that nothing waits for it.

    Args:
        restoration: L1 to the originals in 8-bit units, a scalar.
        uncertainty: Loss of the confidence estimator, a scalar.
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


@dataclass(frozen=True)
class StepOptions:
    """Options for computing steps.

    Args:
        dtype: Of the network's computations; bf16 is mixed with fp32.
        cut: Cuts the batch of a step once more.
        tell: Told in a line what was compiled or recorded, or why not.
        run_plain: Undoes what is to be compiled; None if nothing is.
        graphs: What records a step to be replayed; None runs every one as it is written.
        check_every: Steps after which `Stepper.check` waits for the device.
    """

    dtype: torch.dtype
    cut: Callable[[int], PatchBatch]
    tell: Callable[[str], None]
    run_plain: Callable[[], None] | None = None
    graphs: Graphs | None = None
    check_every: int = 1


class Stepper:
    """Takes the steps of a run.

    On CUDA nothing in a step waits for the device. A step whose gradient is not finite changes
    nothing, nor does any after it; that it happened is read from the device by `check`.

    Args:
        config: The run.
        state: Changed by every step.
        network: The patch network over `state.network`, compiled or shared as the run wants it.
        processes: Who trains together.
        how: How steps are computed.
        folder: Where a batch goes that makes the loss diverge.
    """

    def __init__(
        self,
        config: TrainingConfig,
        state: TrainingState,
        network: nn.Module,
        processes: ProcessGroup,
        how: StepOptions,
        *,
        folder: Path,
    ) -> None:
        self._config, self._state, self._network = config, state, network
        self._processes, self._how, self._folder = processes, how, folder
        self._parameters = list(state.network.parameters())
        device = processes.device
        self._found_inf = torch.zeros((), device=device)  # 1.0 once a gradient was not finite
        self._number = torch.full((), state.step, dtype=torch.int64, device=device)
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        self._teacher_weight = torch.zeros((), device=device)
        self._replay = Replay[Figures](how.graphs, how.tell) if how.graphs else None
        self._plain = how.run_plain  # None: nothing is compiled
        self._compiled: set[Hashable] = set()  # the kinds of steps that run compiled
        self._last: PatchBatch | None = None

    def take(self, batch: PatchBatch, rates: Rates) -> Figures:
        """Take one step.

        Raises:
            LossDiverged: As `check`, which is called every `run.log_every` steps on CUDA, else
                after every step.
            UsageError: There is not enough memory for it.
        """
        try:
            with as_out_of_memory():
                figures = self._take(batch, rates)
        except torch.OutOfMemoryError as error:
            count, _, height, width = batch.lr.shape
            raise UsageError(
                f"not enough memory on {self._processes.device} for a step of {count} patches of "
                f"{width}x{height} LR px: {_remedy(batch.step)}"
            ) from error
        if self._state.step % self._how.check_every == 0:
            self.check()
        return figures

    def check(self) -> None:
        """Make sure that all gradients so far were finite.

        Raises:
            LossDiverged: One was not; state and weights are as they were before that step, and its
                batch is saved.
        """
        step = int(self._first_bad.item())
        if step >= 0:
            self._state.step = step
            last = self._last
            raise self._diverged(last if last and last.step == step else self._how.cut(step))

    def _take(self, batch: PatchBatch, rates: Rates) -> Figures:
        """Move a batch to the device and let that take the step, recorded or not."""
        device, taught = self._processes.device, [] if batch.teacher is None else [batch.teacher]
        given = [t.to(device, non_blocking=True) for t in (batch.lr, batch.hr, *taught)]
        self._state.set_rates(rates)
        self._teacher_weight.fill_(rates.teacher)
        self._state.whole = False

        def work(pixels: Sequence[Tensor]) -> Figures:
            return self._on_device(pixels, batch.own_size, rates.halting)

        def run() -> Figures:
            return work(given) if self._replay is None else self._replay(kind, given, work)

        kind = (rates.halting, batch.own_size, len(given))
        if self._plain is None or kind in self._compiled:
            figures = run()
        else:
            figures = self._first_compiled(run, self._plain)
            self._compiled.add(kind)
        self._state.count()
        self._state.whole = True
        self._last = batch
        return figures

    def _first_compiled(self, run: Callable[[], Figures], run_plain: Callable[[], None]) -> Figures:
        """The first step of a kind, which compiles parts; where that fails they run as written.

        A compiler fails in as many ways as it has parts, so that any error will do; what the step
        raises by itself, it raises again.
        """
        began, tell = time.perf_counter(), self._how.tell
        try:
            figures = run()
            self._found_inf.item()  # waits
            seconds = time.perf_counter() - began
            if not self._compiled or seconds >= 1:
                tell(f"compiled in {seconds:.0f} s")
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            run_plain()
            self._plain = None
            tell(f"not compiled, which is slower: {in_a_line(error)}")
            return run()
        return figures

    def _on_device(self, pixels: Sequence[Tensor], own_size: int, halting: bool) -> Figures:
        """Forward, backward and update, on the device alone.

        Args:
            pixels: lr, hr and, if there is a teacher, its output, as in `PatchBatch`.
            own_size: As in `PatchBatch`.
            halting: Whether tokens halt.
        """
        loss, device = self._config.loss, self._processes.device
        lr, hr, *taught = (_to_unit(one, device) for one in pixels)
        cuda = device.type == "cuda"  # where a recorded step must not cache what it converts
        mixed = self._how.dtype == torch.bfloat16
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed, cache_enabled=not cuda):
            output: PatchOutput = self._network(lr, 1.0 - loss.eps if halting else math.inf)
        image = output.image.float()
        error = error_map(image, hr)
        objective, distance = restoration_loss(error), None
        if taught:
            distance = restoration_loss(error_map(image, taught[0]))
            weight = self._teacher_weight
            objective = weight * distance + (1.0 - weight) * objective
        known = len(error) - own_size  # patches of which there is an original
        error, confidence = error[:known], output.confidence.float()[:known]
        earlier = [error_map(one[:known].float(), hr[:known]) for one in output.earlier]
        restoration = restoration_loss(error)
        uncertainty = exit_loss(loss.exits, confidence, earlier, error, loss.eps)
        self._state.network.zero_grad()
        torch.autograd.backward(objective + loss.uncertainty * uncertainty)
        gradient = nn.utils.clip_grad_norm_(self._parameters, loss.clip or math.inf)
        self._update(gradient)
        correlation = estimator_correlation(confidence, error)
        return Figures(
            restoration.detach(),
            uncertainty.detach(),
            gradient.detach(),
            correlation,
            output.live_windows.detach(),
            None if distance is None else distance.detach(),
        )

    @torch.no_grad()
    def _update(self, gradient: Tensor) -> None:
        """Change the weights, unless the norm of this or of any earlier gradient is not finite."""
        self._found_inf.copy_(torch.maximum(self._found_inf, (~gradient.isfinite()).float()))
        new = (self._found_inf > 0) & (self._first_bad < 0)
        self._first_bad.copy_(torch.where(new, self._number, self._first_bad))
        self._number.add_(1)
        if self._state.leaves_steps_out or not bool(self._found_inf > 0):
            self._state.apply(self._found_inf)

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
    """Remedy where memory does not suffice after `step` steps."""
    if step == 0:
        return "lower data.batch or data.patch"
    return "free some and --resume; data.batch and data.patch can be lower in a new run only"


def _to_unit(patches: Tensor, device: torch.device) -> Tensor:
    """uint8 to [0, 1] in fp32, in the layout that the device is fastest with."""
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return patches.contiguous(memory_format=layout).float() / 255.0
