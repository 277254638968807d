"""All that a run carries from step to step, and that a checkpoint must bring back."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srcli.errors import UsageError, WeightsError
from srcli.models.spec import SRNetwork
from srcli.training.checkpoint import read_checkpoint, read_tensors, write_checkpoint
from srcli.training.config import TrainingConfig
from srcli.training.families import build, started
from srcli.training.optimizers import FUSED, make_optimizers, set_rate
from srcli.training.run_identity import (
    changeable_settings,
    changed_settings,
    check_identity,
    run_identity,
)
from srcli.training.schedule import Rates

__all__ = ["TrainingState"]

_OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq", "average")


class TrainingState:
    """Network, its average, optimizer, steps and minutes so far, and what it started from.

    Args:
        config: The run.
        device: Where parameters lie.
        images: What there is to train on, told so that it differs if anything does; empty if
            nobody cares.
        teacher: sha256 of the teacher's weights; empty without one.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device,
        images: str = "",
        teacher: str = "",
    ) -> None:
        torch.manual_seed(config.run.seed)  # pyright: ignore[reportUnknownMemberType]
        self.network = _laid_out(build(config.network).to(device), device)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self._adam, self._muon = make_optimizers(self.network, config.schedule, device)
        self._follow = torch.zeros((), device=device)  # by how much the average follows
        self.step = 0
        self.whole = True  # no optimizer step was broken off half-way
        self.minutes = 0.0
        self.idle = 0.0  # of these minutes, those without steps
        self.origin = ""
        self._config = config
        self._identity, self._images = run_identity(config, teacher), images

    @property
    def leaves_steps_out(self) -> bool:
        """True if `apply` heeds `found_inf`; if not, it must not be called for such a step."""
        return self._follow.device.type in FUSED

    def set_rates(self, rates: Rates) -> None:
        """Tell the device what the next optimizer step uses; nothing waits for it."""
        backbone, estimator = self._adam.param_groups
        set_rate(backbone, rates.backbone)
        set_rate(estimator, rates.estimator)
        if self._muon is not None:
            set_rate(self._muon.param_groups[0], rates.matrices)
        self._follow.fill_(1.0 - min(self._config.loss.ema, (2 + self.step) / (11 + self.step)))

    @torch.no_grad()  # or the average would hold on to the graph of every step
    def apply(self, found_inf: Tensor) -> None:
        """Take one optimizer step with the gradients there are, and let the average follow.

        Only the device works, so that a CUDA graph can hold it: `set_rates` comes before, `count`
        after.

        Args:
            found_inf: A scalar on the device, 1.0 to change nothing at all, else 0.0.
        """
        if self.leaves_steps_out:  # as torch.amp.GradScaler does it
            self._adam.found_inf = found_inf  # pyright: ignore[reportAttributeAccessIssue]
        self._adam.step()  # pyright: ignore[reportUnknownMemberType]
        if self._muon is not None:
            self._muon.step(found_inf)
        mean, now = list(self.average.parameters()), list(self.network.parameters())
        change = torch._foreach_sub(now, mean)  # pyright: ignore
        torch._foreach_mul_(change, self._follow * (1.0 - found_inf))  # pyright: ignore
        torch._foreach_add_(mean, change)  # pyright: ignore

    def count(self) -> None:
        """Count a step that was taken."""
        self.step += 1

    def start_from(self, path: Path) -> list[str]:
        """Take over weights; a tail of another scale is left out, to be made again.

        Args:
            path: A safetensors file of parameters, fp32 or fp16.

        Returns:
            The names of the parameters that the file does not give.

        Raises:
            WeightsError: It does not fit this network, or holds what is no number.
        """
        file = read_tensors(path)
        if "step" in file.notes:
            raise WeightsError(
                f"{path} is a run's checkpoint: --resume continues from it; --init takes the "
                "weights that a run exports at its end"
            )
        given = started(self._config.network, file.tensors)
        wanted = self.network.state_dict()
        fitting = {
            name: given[name]
            for name, tensor in wanted.items()
            if name in given and given[name].shape == tensor.shape
        }
        missing = [name for name in wanted if name not in fitting]
        unknown = [name for name in given if name not in wanted]
        if unknown or any(not name.startswith("tail.") for name in missing):
            strange = next(iter(unknown), None) or next(n for n in missing if n[:5] != "tail.")
            raise WeightsError(f"{path} is of another architecture: {strange} does not fit")
        for name, tensor in fitting.items():
            if not tensor.isfinite().all():
                raise WeightsError(
                    f"{path} is damaged: {name} is not finite; hint: take other weights"
                )
        self.network.load_state_dict(fitting, strict=False)
        self.average.load_state_dict(self.network.state_dict())
        self.origin = f"from {path.name}, "
        return missing

    def save(self, path: Path) -> None:
        """Write all of it to `path` and the optimizer's part beside it, whole or not at all.

        Raises:
            OSError: It cannot be written; an earlier checkpoint at `path` stays.
        """
        held: dict[str, Tensor] = {}
        for kind, optimizer in self._optimizers():
            for name, parameter in self.network.named_parameters():
                for key, value in optimizer.state.get(parameter, {}).items():
                    held[f"{kind}.{key}.{name}"] = value
        run = {"step": self.step, "minutes": self.minutes, "idle": self.idle, "origin": self.origin}
        notes = (
            self._identity | {"pictures": self._images} | changeable_settings(self._config) | run
        )
        both = _prefixed("network", self.network) | _prefixed("average", self.average)
        write_checkpoint(path, both, held, notes)

    def resume(self, path: Path) -> list[str]:
        """Go back to what `save` wrote.

        Returns:
            A line for each setting, the length aside, that is another now, and is used from here.

        Raises:
            WeightsError: It is no checkpoint, or of another architecture.
            UsageError: It was made with other data, so that the order would differ, or with
                another teacher.
        """
        file = read_checkpoint(path)
        if "step" not in file.notes:
            raise WeightsError(
                f"{path} is not a checkpoint; hint: weights to start from go to --init"
            )
        check_identity(path, file, self._identity, self._config)
        images = file.note("pictures")
        if images and self._images and images != self._images:
            raise UsageError(
                f"{path} was made with other training images: {images}, now {self._images}"
            )
        try:
            self._take(file.tensors)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"{path} is damaged: {error}") from error
        self.step = int(str(file.note("step")))
        self.minutes = float(str(file.note("minutes")))
        self.idle = float(str(file.note("idle") or 0))
        self.origin = str(file.note("origin"))
        return changed_settings(file, self._config, self.step)

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        """Set network, average and optimizer from a checkpoint's tensors."""
        for prefix, network in (("network", self.network), ("average", self.average)):
            own = {n: tensors[f"{prefix}.{n}"] for n in network.state_dict()}
            network.load_state_dict(own)
        for kind, optimizer in self._optimizers():
            for name, parameter in self.network.named_parameters():
                fused = parameter.device.type in FUSED
                held: dict[str, Any] = {
                    key: (value.to(parameter.device) if fused else value)
                    if key == "step"
                    else _laid_like(value, parameter)
                    for key in _OPTIMIZER_STATE
                    if (value := tensors.get(f"{kind}.{key}.{name}")) is not None
                }
                if held:
                    optimizer.state[parameter] = held

    def _optimizers(self) -> list[tuple[str, torch.optim.Optimizer]]:
        """The optimizers there are, by the name that their state has in a checkpoint."""
        muon = [] if self._muon is None else [("muon", self._muon)]
        return [("adam", self._adam), *muon]


def _laid_out(network: SRNetwork, device: torch.device) -> SRNetwork:
    """Lay out the convolutions' weights as the device's fastest kernels want them, in place.

    Channels last on CUDA; on a CPU it costs a tenth, or gives nothing (docs/training_runs.md).
    """
    if device.type == "cuda":
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                weight = module.weight.data.contiguous(memory_format=torch.channels_last)
                module.weight.data = weight
    return network


def _prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in network.state_dict().items()}


def _laid_like(value: Tensor, parameter: Tensor) -> Tensor:
    """`value` on the parameter's device and in its memory order."""
    return torch.empty_like(parameter).copy_(value)
