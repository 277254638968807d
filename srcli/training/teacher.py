"""A teacher: weights whose outputs are targets of a training run."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srcli.errors import NonFiniteOutput, UnknownModel, UsageError, WeightsError
from srcli.inference.device import as_out_of_memory
from srcli.inference.network import LoadedNetwork
from srcli.models import model_spec
from srcli.models.spec import EXACT
from srcli.training.config import DistillationConfig
from srcli.weights import WeightsEntry, known
from srcli.weights.checkpoint import open_checkpoint
from srcli.weights.hashes import FileHashes, hashes_of
from srcli.weights.load import read_weights
from srcli.weights.local_files import record_of
from srcli.weights.manifest import weights_named
from srcli.weights.manifest_file import COMMUNITY
from srcli.weights.recognise import identify

__all__ = ["Teacher", "find_teacher", "mean_of_eight", "teacher_upscaler"]

_FILES = (".ckpt", ".pt", ".pth", ".safetensors")
_UNKNOWN = "not stated"


@dataclass(frozen=True)
class Teacher:
    """Weights found and read; no network is built before `runner` is asked for one.

    Args:
        name: As the manifest has it, or the file's.
        model: The network, by its name in the registry.
        scale: SR px per LR px to a side.
        sha256: Of the weights file, hexadecimal.
        licence: SPDX expression, or in words.
        training_data: What it was trained on; empty if not known.
        parameters: By srcli's names for them, on the CPU.
    """

    name: str
    model: str
    scale: int
    sha256: str
    licence: str
    training_data: str
    parameters: Mapping[str, Tensor]

    def provenance(self, *, self_ensemble: bool) -> str:
        """One line for the manifest entry of what it has taught."""
        how = ", mean of its eight flips and turns" if self_ensemble else ""
        data = f", trained on {self.training_data}" if self.training_data else ""
        return (
            f"{self.name} ({self.model} x{self.scale}{how}), sha256 {self.sha256}, "
            f"licence: {self.licence}{data}"
        )

    def runner(
        self, device: torch.device, dtype: torch.dtype, *, self_ensemble: bool
    ) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        """Make the function that upscales a whole image: (h, w, 3) to (s·h, s·w, 3), uint8.

        What is not finite in lower precision is computed again in fp32. The function raises
        `torch.OutOfMemoryError` where memory does not suffice, on every device, and `WeightsError`
        for an output that is not finite in fp32 either.
        """
        network = LoadedNetwork.of_parameters(
            model_spec(self.model), self.scale, self.parameters, device, dtype
        )

        upscale = teacher_upscaler(
            network, self_ensemble=self_ensemble, few_launches=device.type == "cuda"
        )

        @torch.inference_mode()
        def run(lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
            image = torch.as_tensor(lr, device=device).permute(2, 0, 1)[None].float() / 255.0
            try:
                with as_out_of_memory():
                    sr = upscale(image)
                    sr = (sr[0].clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
                    return sr.permute(1, 2, 0).cpu().contiguous().numpy()
            except NonFiniteOutput as error:
                raise WeightsError(
                    f"the teacher {self.name} gives values that are not finite for an image of "
                    f"{lr.shape[1]}x{lr.shape[0]} px, in fp32 too; hint: take another teacher"
                ) from error

        return run


def teacher_upscaler(
    network: LoadedNetwork, *, self_ensemble: bool, few_launches: bool
) -> Callable[[Tensor], Tensor]:
    """Make the function that upscales (1, 3, h, w) in [0, 1], in fp32.

    Args:
        network: The teacher's.
        self_ensemble: Take the mean over the eight flips and turns.
        few_launches: Where a network works in bands to save memory, compute whole images and four
            turns at once, as long as memory allows: on a GPU the launches of bands take longer
            than their arithmetic.
    """

    def in_bands(lr: Tensor) -> Tensor:
        return network(lr, EXACT).image.float()

    def one_by_one(lr: Tensor) -> Tensor:
        return mean_of_eight(in_bands, lr) if self_ensemble else in_bands(lr)

    whole = network.module.baselines().get("reference")
    if whole is None or not (few_launches and network.spec.memory.holds_whole_image):
        return one_by_one

    def at_once(lr: Tensor) -> Tensor:
        return whole(network.take(lr)).image.float()

    def quickly(lr: Tensor) -> Tensor:
        try:
            sr = mean_of_eight(at_once, lr, together=4) if self_ensemble else at_once(lr)
        except torch.OutOfMemoryError:
            return one_by_one(lr)
        return sr if bool(sr.isfinite().all()) else one_by_one(lr)

    return quickly


def mean_of_eight(upscale: Callable[[Tensor], Tensor], lr: Tensor, *, together: int = 1) -> Tensor:
    """Compute the self-ensemble: the mean output over the eight flips and turns.

    Args:
        upscale: Takes (b, 3, h, w) to (b, 3, s·h, s·w).
        lr: (1, 3, h, w).
        together: Flips and turns of one shape that go through at once: 1, 2 or 4.
    """
    upright = [lr, lr.rot90(2, (2, 3)), lr.flip(3), lr.flip(3).rot90(2, (2, 3))]
    aside = [one.rot90(1, (2, 3)) for one in upright]
    total = None
    for turned, back in ((upright, 0), (aside, -1)):
        batches = [torch.cat(turned[i : i + together]) for i in range(0, 4, together)]
        sr = [one[None] for batch in batches for one in upscale(batch)]
        for number, one in enumerate(sr):
            one = one.rot90(back, (2, 3)).rot90(-2 * (number % 2), (2, 3))
            one = one.flip(3) if number >= 2 else one
            total = one.clone() if total is None else total.add_(one)
    assert total is not None
    return total / 8


def find_teacher(config: DistillationConfig, scale: int) -> Teacher:
    """Find and read the weights that a configuration names.

    Raises:
        UsageError: There are none of that name, or they are of another scale.
        WeightsError: The file is missing, cannot be read, or is of no network that srcli has.
    """
    path = Path(config.teacher)
    if path.suffix.lower() in _FILES or path.name != config.teacher or path.is_file():
        return _of_file(path, config, scale)
    try:
        named = weights_named(config.teacher)
    except UnknownModel as error:
        raise UnknownModel(f"distillation.teacher: {error}") from error
    fitting = [entry for entry in named if entry.scale == scale]
    if not fitting:
        raise _of_another_scale(config.teacher, [entry.scale for entry in named], scale)
    entry = fitting[0]
    if entry.model == COMMUNITY:
        raise UsageError(
            f"distillation.teacher {config.teacher} is of a network of others; hint: teachers are "
            "weights of srcli's own networks"
        )
    model = model_spec(entry.model).build
    with torch.random.fork_rng(devices=[]):
        network = model(scale)
    parameters = read_weights(entry, network.shapes_with)
    licence, data = _licence(entry, config), entry.training_data
    record = record_of(entry) if entry.converted else None  # has it where no manifest states it
    sha256 = entry.sha256 if record is None else record.sha256
    return Teacher(entry.name, entry.model, scale, sha256, licence, data, parameters)


def _of_file(path: Path, config: DistillationConfig, scale: int) -> Teacher:
    """The teacher in a weights file, whatever trainer wrote it."""
    try:
        checkpoint = open_checkpoint(path)
        found = hashes_of(path)
        matches = identify(checkpoint, None, None)
        given = checkpoint.tensors()
    except (OSError, WeightsError) as error:
        raise WeightsError(
            f"distillation.teacher: {error}; hint: name a file of weights that srcli can run, or "
            "one that `srcli weights list` has"
        ) from error
    fitting = [match for match in matches if match.scale == scale]
    if not fitting:
        raise _of_another_scale(str(path), [match.scale for match in matches], scale)
    names = fitting[0].names
    parameters = {ours: given[theirs].float() for theirs, ours in names.items()}
    for name, tensor in parameters.items():
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"distillation.teacher: {path} is damaged: {name} is not finite")
    entry = _entry_of(found)
    licence, data = _licence(entry, config), entry.training_data if entry else ""
    return Teacher(path.name, fitting[0].model, scale, found.sha256, licence, data, parameters)


def _licence(entry: WeightsEntry | None, config: DistillationConfig) -> str:
    """Licence from the manifest, else from the configuration."""
    if entry is not None and entry.licence != _UNKNOWN:
        return entry.licence
    return config.licence or _UNKNOWN


def _entry_of(found: FileHashes) -> WeightsEntry | None:
    """The manifest's entry of a file; None if no manifest has it, or can be read."""
    with suppress(WeightsError):
        for entry in known():
            if entry.sha256 == found.sha256 or entry.git_blob == found.git_blob:
                return entry
    return None


def _of_another_scale(name: str, scales: list[int], scale: int) -> UsageError:
    have = ", ".join(f"x{one}" for one in sorted(set(scales)))
    return UsageError(
        f"distillation.teacher {name} is for {have}, the network to train is x{scale}; hint: "
        "teacher and network have the same scale"
    )
