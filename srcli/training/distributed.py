"""The processes that train together: one, or as many as `torchrun` started."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from srcli.inference.device import pick_device

__all__ = ["ProcessGroup", "joined"]


@dataclass(frozen=True)
class ProcessGroup:
    """This process among `count`; gradients and figures are averaged over all of them.

    Args:
        rank: This one's number; 0 validates, writes and reports.
        count: How many there are.
        device: Where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """True for the process that validates, writes and reports."""
        return self.rank == 0

    def share_gradients(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over the processes where there are several."""
        return network if self.count == 1 else DistributedDataParallel(network)

    def mean(self, figures: Tensor) -> Tensor:
        """The mean of `figures` over the processes."""
        if self.count > 1:
            distributed.all_reduce(figures)  # pyright: ignore[reportUnknownMemberType]
        return figures / self.count

    def any(self, here: bool) -> bool:
        """True if it is true in any process: they stop together, or one would wait for ever."""
        if self.count == 1:
            return here
        flag = torch.tensor([float(here)], device=self.device)
        distributed.all_reduce(flag)  # pyright: ignore[reportUnknownMemberType]
        return flag.item() > 0

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.count > 1:
            distributed.barrier()  # pyright: ignore[reportUnknownMemberType]

    def agree(self, value: float) -> float:
        """The leading process's `value`, so that clocks cannot part the processes."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return shared.item()


@contextmanager
def joined(device: str) -> Generator[ProcessGroup]:
    """Join the processes that torchrun started; without it there is just this one.

    Args:
        device: auto, cpu, cuda or mps; cuda becomes one GPU for each process of this machine.

    Raises:
        UnavailableDevice: This machine has no such device.
    """
    chosen = pick_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ProcessGroup(0, 1, chosen)
        return
    if chosen.type == "cuda":
        chosen = pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(distributed.get_rank(), count, chosen)
    finally:
        distributed.destroy_process_group()
