"""One process's part of a training run."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from srcli.errors import LossDiverged, OutOfMemory, cannot_write
from srcli.models.spec import EXACT, SRNetwork
from srcli.training.accelerate import CudaGraphs, fast_arithmetic, full_arithmetic, step_precision
from srcli.training.config import TrainingConfig
from srcli.training.distributed import ProcessGroup
from srcli.training.export import as_exported, export_weights
from srcli.training.families import adaptive, family_of, for_patches
from srcli.training.feed import Patches, TrainingData
from srcli.training.folder import RunFolder
from srcli.training.meter import Meter
from srcli.training.process import interrupts_held_back
from srcli.training.reports import TeacherReport, TrainingLogger, ValidationReport
from srcli.training.runnable import working_state
from srcli.training.schedule import Rates, progress, rate_settings, rates, teacher_weight
from srcli.training.step import StepOptions, Stepper
from srcli.training.validation import find_validation_sets, measure

__all__ = ["Run"]


class Run:
    """Data, state and the loop over steps.

    Args:
        config: The run, checked.
        folder: For checkpoint and weights.
        watchers: Told of progress.
        processes: Who trains together.
        began: Since when minutes count, by `time.monotonic`; None: from the first step on.

    Raises:
        UsageError: Folders, sets or settings are of no use.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: RunFolder,
        loggers: Sequence[TrainingLogger],
        processes: ProcessGroup,
        began: float | None = None,
    ) -> None:
        self._config, self._folder = config, folder
        self._watchers, self._processes = loggers, processes
        scale = config.network.scale
        self._sets = find_validation_sets(config.validation.sets, scale)
        self._data = TrainingData(config, processes, self._warn)
        self._state = working_state(
            config, processes.device, self._data.known_as, self._data.taught_by
        )
        self._told_began = began
        self._began = time.monotonic() if began is None else began
        self._kept = 0  # the last checkpoint's step
        self._interrupted: Callable[[], bool] = lambda: False

    def start_from(self, weights: Path) -> None:
        """Take over weights; an upsampler that they lack is fitted to the body, and that said."""
        state, data = self._state, self._config.data
        if not state.start_from(weights):
            return
        fit_upsampler = family_of(self._config.network).fit_upsampler
        if fit_upsampler is None:
            self._warn(f"{weights} has no upsampler of this scale: trained from the start")
            return
        self._warn(f"{weights} has no upsampler of this scale: fitting one to {data.fit} patches")
        own = data.batch // self._processes.count  # each process fits; the leading one's counts
        with closing(self._data.originals().batches(0)) as batches:
            fit_upsampler(state.network, batches, -(-data.fit // own))
        state.average.load_state_dict(state.network.state_dict())

    def resume(self) -> None:
        """Go back to the last checkpoint in the run's folder."""
        for line in self._state.resume(self._folder.checkpoint):
            self._warn(line)

    def go(self) -> Path | None:
        """Train to the end and export; the leading process returns the exported file."""
        patches = self._data.open(self._folder.path, self._tell_teacher)
        began = time.monotonic() if self._told_began is None else self._told_began
        self._began = began - 60 * self._state.minutes
        self._kept = self._state.step
        with interrupts_held_back() as self._interrupted:
            if not self._train_and_save(patches):
                self._processes.wait()  # torchrun ends all others as soon as one has ended
                raise KeyboardInterrupt
            network = as_exported(self._state, self._config).to(self._processes.device)
            limit = self._config.validation.last_minutes
            psnr_y = self._validate(network, balanced=True, minutes=limit or math.inf)
            if self._processes.leads and self._interrupted():
                raise KeyboardInterrupt
        if not self._processes.leads:
            return None
        path = self._folder.weights(self._config.weights.name)
        try:
            export_weights(self._state, self._config, path, psnr_y, self._data.provenance)
        except OSError as error:
            raise cannot_write(
                f"cannot write {path}: {error.strerror}; --resume tries again", error
            ) from error
        return path

    @property
    def _minutes(self) -> float:
        """Minutes so far, earlier parts of the run included."""
        return (time.monotonic() - self._began) / 60

    def _train_and_save(self, patches: Patches) -> bool:
        """Take steps as `_train` does, and keep them, whatever ends it.

        But for ruined weights, and for a second signal: then the last checkpoint stays.
        """
        try:
            finished = self._train(patches)
        except LossDiverged as error:
            if not self._processes.leads:
                raise
            done = self._done_here()
            way = self._folder.past_divergence(
                self._state.step, rate_settings(self._config.schedule, done)
            )
            raise LossDiverged(f"{error}; {way}") from error
        except Exception:
            self._save()
            raise
        self._save()
        return finished

    def _train(self, patches: Patches) -> bool:
        """Take steps until the schedule's end; whether it was reached without interruption."""
        config, state = self._config, self._state
        stepper = self._stepper(patches)
        meter = Meter(patches, config.data.batch)
        saved = validated = self._minutes
        self._count_as_idle()
        first = state.step
        with (
            fast_arithmetic(self._processes.device),
            closing(patches.batches(state.step)) as batches,
        ):
            while (done := self._processes.agree(self._done_here())) < 1.0:
                weight = teacher_weight(config.distillation, done)
                now = replace(rates(config.schedule, done), teacher=weight)
                meter.add(stepper.take(next(batches), now))
                if state.step == first + 1:
                    self._count_as_idle()  # it compiled the network
                state.minutes = self._minutes
                if state.step % config.run.log_every == 0:
                    self._report(meter, now, done)
                if self._validation_due(validated):
                    stepper.check()
                    self._save()  # validating may take minutes, and a second signal end it
                    self._validate(state.average, balanced=now.halting)
                    validated = self._minutes
                    meter.restart()
                if self._minutes - saved >= config.run.checkpoint_minutes:
                    stepper.check()
                    self._save()
                    saved = self._minutes
                if self._processes.any(self._interrupted()):
                    stepper.check()
                    return False
            stepper.check()
        return True

    def _stepper(self, patches: Patches) -> Stepper:
        """Make the stepper: on CUDA compiled and recorded, as the configuration says."""
        run, processes = self._config.run, self._processes
        device, cuda = processes.device, processes.device.type == "cuda"
        loss = self._config.loss
        plain = for_patches(self._state.network, loss.token_share, loss.exits, 1.0 - loss.eps)
        compiles = run.compile == "always" or (run.compile == "auto" and cuda)
        if compiles:
            plain.compile_parts()
        how = StepOptions(
            step_precision(run.precision, device),
            patches.cut,
            self._note,
            plain.run_plain if compiles else None,
            CudaGraphs(device) if cuda and run.record and processes.count == 1 else None,
            run.log_every if cuda else 1,
        )
        network = processes.share_gradients(plain)
        folder = self._folder.path
        return Stepper(self._config, self._state, network, processes, how, folder=folder)

    def _count_as_idle(self) -> None:
        """Let the minutes since the last step, or since the beginning, not count as progress."""
        self._state.idle += self._minutes - self._state.minutes
        self._state.minutes = self._minutes

    def _done_here(self) -> float:
        """The share of the run that is done, by this process's clock."""
        state = self._state
        return progress(self._config.schedule, state.step, self._minutes, state.idle)

    def _validation_due(self, last: float) -> bool:
        """Tell if a validation is due, `last` being the minutes at the last one."""
        every = self._config.validation
        by_step = every.every_steps > 0 and self._state.step % every.every_steps == 0
        return by_step or (every.every_minutes > 0 and self._minutes - last >= every.every_minutes)

    def _report(self, meter: Meter, now: Rates, done: float) -> None:
        report = meter.report(
            self._processes, now, step=self._state.step, done=done, minutes=self._minutes
        )
        for logger in self._watchers:
            logger.on_step(report)

    def _validate(
        self, network: SRNetwork, *, balanced: bool, minutes: float = math.inf
    ) -> Mapping[str, float]:
        """Measure averaged weights, with halting too if wanted; PSNR-Y without it by set.

        A signal ends it between two images; what it has found is then not told. So it does once
        `minutes` have passed; what it has found until then counts. Too little memory costs the
        figures, not the run.
        """
        if not self._sets or not self._processes.leads:
            return {}
        device = self._processes.device
        halting = adaptive(self._config.network, self._config.loss.eps)
        until = self._minutes + minutes

        def stop() -> bool:
            return self._interrupted() or self._minutes > until

        try:
            with full_arithmetic(device):
                exact = measure(network, self._sets, EXACT, device, stop)
                less = measure(network, self._sets, halting, device, stop) if balanced else {}
        except OutOfMemory as error:
            self._warn(f"not validated at step {self._state.step}: {error}")
            return {}
        if self._interrupted():
            return {}
        if self._minutes > until:
            self._warn(f"validation ended after {minutes:g} minutes, validation.last_minutes")
        report = ValidationReport(self._state.step, self._minutes, exact, less)
        for logger in self._watchers:
            logger.on_validation(report)
        return exact

    def _save(self) -> None:
        """Write the checkpoint, if a step was taken since the last one and ended whole.

        If the disk refuses, the last one stays and training continues.
        """
        state = self._state
        if not self._processes.leads or not state.whole or state.step == self._kept:
            return
        try:
            state.save(self._folder.checkpoint)
            self._kept = state.step
        except OSError as error:
            self._warn(f"no checkpoint at step {state.step}, the last one stays: {error}")

    def _tell_teacher(self, report: TeacherReport) -> None:
        for logger in self._watchers:
            logger.on_teacher(report)

    def _note(self, line: str) -> None:
        for logger in self._watchers:
            logger.note(line)

    def _warn(self, line: str) -> None:
        for logger in self._watchers:
            logger.warn(line)
