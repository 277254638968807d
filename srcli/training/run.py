"""One process's part of a training run."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from torch import nn

from srcli.data.patches import PatchLoader, PatchSampler, Share
from srcli.data.pictures import PictureStore, Source, find_sources
from srcli.data.targets import TargetImages
from srcli.errors import LossDiverged, OutOfMemory, UsageError
from srcli.inference.device import pick_precision
from srcli.models.adaformer import AdaFormer
from srcli.models.spec import EXACT, SRNetwork
from srcli.training.config import TrainingConfig
from srcli.training.export import as_exported, export_weights
from srcli.training.families import adaptive, for_patches
from srcli.training.folder import RunFolder
from srcli.training.interrupts import interrupts_held_back
from srcli.training.meter import Meter
from srcli.training.processes import Processes
from srcli.training.reports import TeacherReport, ValidationReport, Watcher
from srcli.training.runnable import working_state
from srcli.training.schedule import Rates, levers, progress, rates, teacher_weight
from srcli.training.step import Stepper
from srcli.training.tail import fit_tail
from srcli.training.targets import TeacherCache
from srcli.training.teacher import find_teacher
from srcli.training.validation import find_validation_sets, keep_apart, measure

__all__ = ["Run"]


class Run:
    """Data, state and the loop over steps.

    Args:
        config: The run, checked.
        folder: For checkpoint and weights.
        watchers: Told of progress.
        processes: Who trains together.

    Raises:
        UsageError: Folders, sets or settings are of no use.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: RunFolder,
        watchers: Sequence[Watcher],
        processes: Processes,
    ) -> None:
        self._config, self._folder = config, folder
        self._watchers, self._processes = watchers, processes
        scale = config.network.scale
        self._sets = find_validation_sets(config.validation.sets, scale)
        told = config.distillation
        self._teacher = find_teacher(told, scale) if told.teacher else None
        sources = self._find_sources()
        self._store = PictureStore(sources, scale, config.data.memory_mb * 1_000_000)
        self._loader = self._open_data()  # without a teacher: its outputs come before the steps
        taught_by = self._teacher.sha256 if self._teacher else ""
        self._state = working_state(config, processes.device, _told(sources), taught_by)
        self._began = time.monotonic()
        self._kept = 0  # the last checkpoint's step
        self._interrupted: Callable[[], bool] = lambda: False

    def start_from(self, weights: Path) -> None:
        """Take over weights; an upsampler that they lack is fitted to the body, and that said."""
        state, data = self._state, self._config.data
        if not state.start_from(weights):
            return
        if not isinstance(state.network, AdaFormer):
            self._warn(f"{weights} has no upsampler of this scale: trained anew")
            return
        self._warn(f"{weights} has no upsampler of this scale: fitting one to {data.fit} patches")
        own = data.batch // self._processes.count  # each process fits; the leading one's counts
        with closing(self._loader.batches(0)) as batches:
            fit_tail(state.network, batches, -(-data.fit // own))
        state.average.load_state_dict(state.network.state_dict())

    def resume(self) -> None:
        """Go back to the last checkpoint in the run's folder."""
        for line in self._state.resume(self._folder.checkpoint):
            self._warn(line)

    def go(self) -> Path | None:
        """Train to the end and export; the leading process returns the exported file."""
        self._loader = self._open_data(self._taught())
        self._began = time.monotonic() - 60 * self._state.minutes
        self._kept = self._state.step
        with interrupts_held_back() as self._interrupted:
            if not self._train_and_save():
                self._processes.wait()  # torchrun ends all others as soon as one has ended
                raise KeyboardInterrupt
            network = as_exported(self._state, self._config).to(self._processes.device)
            psnr_y = self._validate(network, balanced=True)
            if self._processes.leads and self._interrupted():
                raise KeyboardInterrupt
        if not self._processes.leads:
            return None
        path = self._folder.weights(self._config.weights.name)
        try:
            export_weights(self._state, self._config, path, psnr_y, self._provenance())
        except OSError as error:
            raise UsageError(
                f"cannot write {path}: {error.strerror}; --resume tries again"
            ) from error
        return path

    @property
    def _minutes(self) -> float:
        """Minutes so far, earlier parts of the run included."""
        return (time.monotonic() - self._began) / 60

    def _train_and_save(self) -> bool:
        """Take steps as `_train` does, and keep them, whatever ends it.

        But for ruined weights, and for a second signal: then the last checkpoint stays.
        """
        try:
            finished = self._train()
        except LossDiverged as error:
            if not self._processes.leads:
                raise
            done = progress(self._config.schedule, self._state.step, self._minutes)
            way = self._folder.past_divergence(
                self._state.step, levers(self._config.schedule, done)
            )
            raise LossDiverged(f"{error}; {way}") from error
        except Exception:
            self._save()
            raise
        self._save()
        return finished

    def _train(self) -> bool:
        """Take steps until the schedule's end; whether it was reached without interruption."""
        config, state = self._config, self._state
        dtype = pick_precision(config.run.precision, self._processes.device)
        network = self._patch_network()
        stepper = Stepper(
            config, state, network, self._processes, dtype=dtype, folder=self._folder.path
        )
        meter = Meter(self._loader, config.data.batch)
        saved = validated = self._minutes
        with closing(self._loader.batches(state.step)) as batches:
            while (done := self._done()) < 1.0:
                weight = teacher_weight(config.distillation, done)
                now = replace(rates(config.schedule, done), teacher=weight)
                meter.add(stepper.take(next(batches), now))
                state.minutes = self._minutes
                if state.step % config.run.log_every == 0:
                    self._report(meter, now, done)
                if self._validation_due(validated):
                    self._save()  # validating may take minutes, and a second signal end it
                    self._validate(state.average, balanced=now.halting)
                    validated = self._minutes
                    meter.restart()
                if self._minutes - saved >= config.run.checkpoint_minutes:
                    self._save()
                    saved = self._minutes
                if self._processes.any(self._interrupted()):
                    return False
        return True

    def _done(self) -> float:
        """The share of the run that is done, the same in all processes."""
        here = progress(self._config.schedule, self._state.step, self._minutes)
        return self._processes.agree(here)

    def _validation_due(self, last: float) -> bool:
        """Whether it is time, `last` being the minutes at the last validation."""
        every = self._config.validation
        by_step = every.every_steps > 0 and self._state.step % every.every_steps == 0
        return by_step or (every.every_minutes > 0 and self._minutes - last >= every.every_minutes)

    def _report(self, meter: Meter, now: Rates, done: float) -> None:
        report = meter.report(
            self._processes, now, step=self._state.step, done=done, minutes=self._minutes
        )
        for watcher in self._watchers:
            watcher.on_step(report)

    def _validate(self, network: SRNetwork, *, balanced: bool) -> Mapping[str, float]:
        """Measure averaged weights, with halting too if wanted; PSNR-Y without it by set.

        A signal ends it between two pictures; what it has found is then not told. Too little memory
        costs the figures, not the run.
        """
        if not self._sets or not self._processes.leads:
            return {}
        device = self._processes.device
        halting = adaptive(self._config.network, self._config.loss.eps)
        stop = self._interrupted
        try:
            exact = measure(network, self._sets, EXACT, device, stop)
            less = measure(network, self._sets, halting, device, stop) if balanced else {}
        except OutOfMemory as error:
            self._warn(f"not validated at step {self._state.step}: {error}")
            return {}
        if stop():
            return {}
        report = ValidationReport(self._state.step, self._minutes, exact, less)
        for watcher in self._watchers:
            watcher.on_validation(report)
        return exact

    def _save(self) -> None:
        """Write the checkpoint, if a step was taken since the last one and ended whole.

        If the disk refuses, the last one stays and training goes on.
        """
        state = self._state
        if not self._processes.leads or not state.whole or state.step == self._kept:
            return
        try:
            state.save(self._folder.checkpoint)
            self._kept = state.step
        except OSError as error:
            self._warn(f"no checkpoint at step {state.step}, the last one stays: {error}")

    def _warn(self, line: str) -> None:
        for watcher in self._watchers:
            watcher.warn(line)

    def _patch_network(self) -> nn.Module:
        """The network as it is trained: shared between processes, compiled."""
        plain = for_patches(self._state.network, self._config.loss.token_share)
        shared = self._processes.share_gradients(plain)
        if self._config.run.compile:
            shared.compile()  # pyright: ignore[reportUnknownMemberType]
        return shared

    def _find_sources(self) -> list[Source]:
        """Find and check the training pictures."""
        data, scale = self._config.data, self._config.network.scale
        folders = [Path(f) for f in data.folders]
        keep_apart(folders, [Path(s) for s in self._config.validation.sets])
        sources, useless = find_sources(
            folders, scale, data.patch * scale, data.reductions, data.large
        )
        for line in useless:
            self._warn(f"skipped {line}")
        return sources

    def _taught(self) -> TargetImages | None:
        """The teacher's outputs, computed now if they are not there; None without a teacher."""
        if self._teacher is None:
            return None
        told = self._config.distillation
        cache = TeacherCache(
            self._teacher,
            self._store,
            Path(told.cache) if told.cache else self._folder.path / "teacher",
            self_ensemble=told.self_ensemble,
            own_size=told.own_size,
        )
        dtype = pick_precision(self._config.run.precision, self._processes.device)
        return cache.fill(self._processes, dtype, tell=self._tell_teacher, warn=self._warn)

    def _tell_teacher(self, report: TeacherReport) -> None:
        for watcher in self._watchers:
            watcher.on_teacher(report)

    def _provenance(self) -> str:
        """The teacher, for the manifest entry; empty without one."""
        ensemble = self._config.distillation.self_ensemble
        return self._teacher.provenance(self_ensemble=ensemble) if self._teacher else ""

    def _open_data(self, taught: TargetImages | None = None) -> PatchLoader:
        """What cuts this process's patches."""
        data, scale = self._config.data, self._config.network.scale
        sampler = PatchSampler(
            self._store,
            scale=scale,
            patch=data.patch,
            batch=data.batch,
            seed=self._config.run.seed,
            share=Share(self._processes.rank, self._processes.count),
            warn=self._warn,
            teacher=taught,
        )
        return PatchLoader(sampler, workers=data.workers, ahead=2 * data.workers)


def _told(sources: Sequence[Source]) -> str:
    """The training pictures in few words: another for any other pictures or order."""
    each = [(s.path.name, s.height, s.width, s.reduced_from) for s in sources]
    return f"{len(sources)}, sha256 {hashlib.sha256(repr(each).encode()).hexdigest()[:16]}"
