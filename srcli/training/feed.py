"""The training data of a run: images, a teacher's outputs for them, patches cut from both."""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from srcli.data.coded_frames import require_h264
from srcli.data.device_patches import DegradedInput, DevicePatches
from srcli.data.images import ImageStore, Source, find_sources
from srcli.data.patch_draws import Share
from srcli.data.patches import PatchLoader, PatchSampler
from srcli.data.targets import TargetImages
from srcli.training.accelerate import step_precision
from srcli.training.config import TrainingConfig
from srcli.training.distributed import ProcessGroup
from srcli.training.reports import TeacherReport
from srcli.training.targets import TeacherCache
from srcli.training.teacher import find_teacher
from srcli.training.validation import keep_apart

__all__ = ["Patches", "TrainingData"]

Patches = PatchLoader | DevicePatches


class TrainingData:
    """Images, teacher and patches of one process.

    Args:
        config: The run.
        processes: Who trains together.
        warn: Told in a line what cannot be used.

    Raises:
        UsageError: Folders are of no use, or validation sets lie in them.
        WeightsError: The teacher cannot be read.
    """

    def __init__(
        self, config: TrainingConfig, processes: ProcessGroup, warn: Callable[[str], None]
    ) -> None:
        self._config, self._processes, self._warn = config, processes, warn
        told, scale = config.distillation, config.network.scale
        self._teacher = find_teacher(told, scale) if told.teacher else None
        sources = self._find_sources()
        self._store = ImageStore(sources, scale, config.data.memory_mb * 1_000_000)
        self.known_as = _told(sources)

    @property
    def taught_by(self) -> str:
        """sha256 of the teacher's weights; empty without one."""
        return self._teacher.sha256 if self._teacher else ""

    @property
    def provenance(self) -> str:
        """The teacher, for the manifest entry; empty without one."""
        ensemble = self._config.distillation.self_ensemble
        return self._teacher.provenance(self_ensemble=ensemble) if self._teacher else ""

    def originals(self) -> PatchLoader:
        """Patches without the teacher's outputs, cut on the host."""
        return self._loader(self._sampler(None))

    def open(self, folder: Path, tell: Callable[[TeacherReport], None]) -> Patches:
        """Patches to train on; the teacher's outputs that are not there yet are computed first.

        Args:
            folder: Of the run; the outputs go to `teacher` in it unless the configuration says
                where.
            tell: Told how far they are.

        Raises:
            UsageError: Memory or disk do not suffice, or an encoder is missing.
            WeightsError: The teacher gives values that are not finite.
        """
        data, device = self._config.data, self._processes.device
        on_device = data.images == "device" or (data.images == "auto" and device.type == "cuda")
        degraded = self._config.degradation.share > 0
        if degraded and self._config.degradation.h264:
            require_h264()
        on_device &= not (degraded and self._config.distillation.own_size)  # LR on the host alone
        if on_device:  # decoded by all cores at once, before the teacher asks one by one
            deque(self._store.all_readable(os.cpu_count() or 1), maxlen=0)
        sampler = self._sampler(self._taught(folder, tell))
        if on_device:
            ranges = self._config.degradation
            return DevicePatches(
                sampler, device, DegradedInput(ranges, data.workers) if degraded else None
            )
        return self._loader(sampler)

    def _loader(self, sampler: PatchSampler) -> PatchLoader:
        """Patches cut on the host, and degraded as the configuration says."""
        workers, ranges = self._config.data.workers, self._config.degradation
        degradation = ranges if ranges.share else None
        return PatchLoader(sampler, workers=workers, ahead=2 * workers, degradation=degradation)

    def _taught(self, folder: Path, tell: Callable[[TeacherReport], None]) -> TargetImages | None:
        """The teacher's outputs; None without a teacher."""
        if self._teacher is None:
            return None
        told = self._config.distillation
        cache = TeacherCache(
            self._teacher,
            self._store,
            Path(told.cache) if told.cache else folder / "teacher",
            self_ensemble=told.self_ensemble,
            own_size=told.own_size,
        )
        device = self._processes.device
        cuda = device.type == "cuda"  # fast enough for targets without bf16's error
        dtype = torch.float32 if cuda else step_precision(self._config.run.precision, device)
        return cache.fill(self._processes, dtype, tell=tell, warn=self._warn)

    def _find_sources(self) -> list[Source]:
        """Find and check the training images."""
        data, scale = self._config.data, self._config.network.scale
        folders = [Path(f) for f in data.folders]
        keep_apart(folders, [Path(s) for s in self._config.validation.sets])
        sources, useless = find_sources(
            folders, scale, data.patch * scale, data.reductions, data.large
        )
        for line in useless:
            self._warn(f"skipped {line}")
        return sources

    def _sampler(self, taught: TargetImages | None) -> PatchSampler:
        """Make the sampler that chooses this process's patches."""
        data, processes = self._config.data, self._processes
        return PatchSampler(
            self._store,
            scale=self._config.network.scale,
            patch=data.patch,
            batch=data.batch,
            seed=self._config.run.seed,
            share=Share(processes.rank, processes.count),
            warn=self._warn,
            teacher=taught,
        )


def _told(sources: list[Source]) -> str:
    """The training images in few words: another for any other images or order."""
    each = [(s.path.name, s.height, s.width, s.reduced_from) for s in sources]
    return f"{len(sources)}, sha256 {hashlib.sha256(repr(each).encode()).hexdigest()[:16]}"
