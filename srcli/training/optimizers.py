"""The optimizers of a run: Adam, and Muon for weight matrices."""

from typing import Any

import torch
from torch import Tensor

from srcli.models.spec import SRNetwork
from srcli.training.config import ScheduleConfig
from srcli.training.muon import Muon, hidden_matrices

__all__ = ["FUSED", "make_optimizers", "set_rate"]

FUSED = ("cpu", "cuda")  # devices whose Adam is one kernel, which can leave a step out by itself
_ESTIMATOR = "confidence."


def make_optimizers(
    network: SRNetwork, schedule: ScheduleConfig, device: torch.device
) -> tuple[torch.optim.Adam, Muon | None]:
    """Adam for backbone and estimator; Muon for the backbone's matrices if the schedule asks.

    On CUDA learning rates are tensors there, so that a CUDA graph heeds them.
    """
    named = dict(network.named_parameters())
    estimator = {name: p for name, p in named.items() if name.startswith(_ESTIMATOR)}
    hidden = hidden_matrices(network) if schedule.muon_lr else {}
    matrices = [p for name, p in hidden.items() if name not in estimator]
    rest = [p for name, p in named.items() if name not in hidden and name not in estimator]
    fused, cuda = device.type in FUSED, device.type == "cuda"
    adam = torch.optim.Adam(
        [{"params": rest}, {"params": list(estimator.values())}],
        fused=fused,
        foreach=not fused,
        capturable=cuda,
    )
    muon = Muon(matrices, torch.bfloat16 if cuda else torch.float32) if matrices else None
    for optimizer in [adam, *([] if muon is None else [muon])] if cuda else []:
        for group in optimizer.param_groups:
            group["lr"] = torch.zeros((), device=device)
    return adam, muon


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set a learning rate where it lies."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
