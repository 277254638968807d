"""A teacher's outputs for all training images: computed once, kept on disk, read patch by patch.

They are stored as safetensors, uncompressed: a patch of a mapped file is read without decoding the
image, where lossless WebP or PNG would decode all of it or have it held in memory. The name of a
file is made of all that its content depends on, so that outputs of several teachers and settings
lie side by side; its notes say the same in words, and a checksum tells damage.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from srcli.data.images import ImageStore
from srcli.data.targets import TENSOR, TargetImages
from srcli.errors import UnreadableImage, UsageError
from srcli.inference.device import free_memory
from srcli.models import model_spec
from srcli.training.checkpoint import write_whole
from srcli.training.distributed import ProcessGroup
from srcli.training.reports import TeacherReport
from srcli.training.teacher import Teacher

__all__ = ["TeacherCache"]

_FORMAT = 1  # another number makes all outputs again
_REPORT_EVERY = 5.0  # seconds


@dataclass(frozen=True)
class _Output:
    """One output that is needed.

    Args:
        number: Of the source.
        own_size: The HR image is the LR, not its reduction.
        path: Where the output lies, or will.
        notes: What the file must say of itself.
        shape: (h, w, 3) of the output.
    """

    number: int
    own_size: bool
    path: Path
    notes: Mapping[str, object]
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class TeacherCache:
    """Computes a teacher's outputs that are not there yet, and finds the others.

    Args:
        teacher: Whose outputs.
        store: The training images.
        folder: Where outputs are kept; other teachers' may lie there too.
        self_ensemble: Whether an output is the mean over eight flips and turns.
        own_size: Whether HR images are taken as LR, too.
    """

    teacher: Teacher
    store: ImageStore
    folder: Path
    self_ensemble: bool
    own_size: bool

    def fill(
        self,
        processes: ProcessGroup,
        dtype: torch.dtype,
        *,
        tell: Callable[[TeacherReport], None],
        warn: Callable[[str], None],
    ) -> TargetImages:
        """Compute what is missing, each process its share, and return where everything lies.

        What is damaged or of another teacher is computed again, and that said. An image that
        cannot be decoded has no output, and no patches either.

        Args:
            processes: Who computes, and on which device.
            dtype: The precision to compute in.
            tell: Told of progress.
            warn: Told of files that are damaged.

        Raises:
            UsageError: An image takes too much memory, or the disk refuses.
            WeightsError: The teacher gives values that are not finite.
        """
        outputs = self._outputs()
        wanted = [output for each in outputs for output in each]
        missing = [output for output in wanted if not _whole(output, warn)]
        processes.wait()  # all have looked before one begins to write
        self._check_memory(missing, processes.device)
        self._compute(missing, len(wanted), processes, dtype, tell)
        processes.wait()
        own_size = {each[1].number: each[1].path for each in outputs if len(each) == 2}
        files = [each[0].path for each in outputs]
        return TargetImages(files, self._of_own_size(own_size) if self.own_size else ())

    def _of_own_size(self, paths: Mapping[int, Path]) -> list[tuple[int, Path]]:
        """For each source, the source that is its whole file, and that one's own-size output."""
        whole = {self.store.sources[n].path: (n, path) for n, path in paths.items()}
        return [whole[source.path] for source in self.store.sources]

    def _outputs(self) -> list[list[_Output]]:
        """List the outputs of each source; of a whole file that of own size, too, if wanted."""
        contents: dict[Path, str] = {}
        outputs: list[list[_Output]] = []
        for number, source in enumerate(self.store.sources):
            if source.path not in contents:
                contents[source.path] = _content(source.path)
            sizes = [False, True] if self.own_size and source.reduced_from is None else [False]
            outputs.append([self._output(number, contents[source.path], own) for own in sizes])
        return outputs

    def _output(self, number: int, content: str, own_size: bool) -> _Output:
        source, scale = self.store.sources[number], self.teacher.scale
        notes = {
            "format": _FORMAT,
            "teacher": self.teacher.sha256,
            "scale": scale,
            "self_ensemble": self.self_ensemble,
            "image": content,
            "used": [source.height, source.width],
            "reduced_to": list(source.reduced_from or ()),
            "own_size": own_size,
        }
        key = hashlib.sha256(json.dumps(notes).encode()).hexdigest()[:24]
        factor = scale if own_size else 1
        return _Output(
            number,
            own_size,
            self.folder / f"{source.path.stem[:40]}-{key}.safetensors",
            notes,
            (factor * source.height, factor * source.width, 3),
        )

    def _check_memory(self, missing: Sequence[_Output], device: torch.device) -> None:
        """Refuse before hours are spent, by what the network was measured to take for a pixel."""
        if not missing:
            return
        largest = max(missing, key=lambda one: one.shape[0] * one.shape[1])
        pixels = largest.shape[0] * largest.shape[1] / self.teacher.scale**2
        needed, free = pixels * model_spec(self.teacher.model).memory.forward, free_memory(device)
        if needed > free:
            amount = f"about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
            raise self._too_large(largest, device, amount)

    def _too_large(self, output: _Output, device: torch.device, amount: str) -> UsageError:
        height, width = (side // self.teacher.scale for side in output.shape[:2])
        source = self.store.sources[output.number]
        less = "distillation.own_size = false, or " if output.own_size else ""
        return UsageError(
            f"not enough memory on {device} for the teacher {self.teacher.name} on the whole of "
            f"{source.path}, {width}x{height} LR px: {amount}; hint: {less}cut the image into "
            "smaller ones, or train on another device"
        )

    def _compute(
        self,
        missing: Sequence[_Output],
        count: int,
        processes: ProcessGroup,
        dtype: torch.dtype,
        tell: Callable[[TeacherReport], None],
    ) -> None:
        """Compute this process's share of what is missing."""
        there = count - len(missing)
        tell(TeacherReport(there, count, None))
        mine = missing[processes.rank :: processes.count]
        if not mine:
            return
        run = self.teacher.runner(processes.device, dtype, self_ensemble=self.self_ensemble)
        todo = sum(one.shape[0] * one.shape[1] for one in mine)
        began = told = time.monotonic()
        done = 0
        for place, output in enumerate(mine, 1):
            self._compute_one(output, run, processes.device)
            done += output.shape[0] * output.shape[1]
            now = time.monotonic()
            if now - told >= _REPORT_EVERY or place == len(mine):
                told = now
                images = there + min(place * processes.count, len(missing))
                tell(TeacherReport(images, count, (now - began) * (todo - done) / done))

    def _compute_one(
        self,
        output: _Output,
        run: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        device: torch.device,
    ) -> None:
        try:
            image = self.store.get(output.number)
        except UnreadableImage:
            return  # who cuts patches tells of it
        try:
            sr = run(image.hr if output.own_size else image.lr)
        except torch.OutOfMemoryError as error:
            raise self._too_large(output, device, "it ran out") from error
        assert sr.shape == output.shape, f"{output.path}: {sr.shape}"
        try:
            output.path.parent.mkdir(parents=True, exist_ok=True)
            notes = {**output.notes, "crc32": _checksum(sr)}
            write_whole(output.path, {TENSOR: torch.as_tensor(sr)}, notes)
        except OSError as error:
            raise UsageError(
                f"cannot write {output.path} ({sr.nbytes / 1e6:.0f} MB): {error.strerror}; hint: "
                "distillation.cache takes a folder on another disk; what is there stays"
            ) from error


def _whole(output: _Output, warn: Callable[[str], None]) -> bool:
    """Tell if the file is there, is what it must be, and is undamaged."""
    try:
        with cast("Any", safe_open(output.path, framework="numpy")) as file:
            told = cast("dict[str, str]", file.metadata() or {})
            noted = {key: json.loads(text) for key, text in told.items()}
            checksum = noted.pop("crc32", None)
            sr = file.get_tensor(TENSOR)
    except FileNotFoundError:
        return False
    except (OSError, SafetensorError, ValueError) as error:
        warn(f"{output.path} is damaged ({error}): the teacher computes it again")
        return False
    if noted != output.notes:
        warn(f"{output.path} is of another teacher, image or setting: computed again")
        return False
    if sr.shape != output.shape or sr.dtype != np.uint8 or _checksum(sr) != checksum:
        warn(f"{output.path} is damaged (its checksum is another): the teacher computes it again")
        return False
    return True


def _checksum(sr: NDArray[np.uint8]) -> int:
    return zlib.crc32(cast("Any", np.ascontiguousarray(sr)))  # without a copy


def _content(path: Path) -> str:
    """sha256 of a file, hexadecimal; empty if it cannot be read: then it has no patches either."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
