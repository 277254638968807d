"""Operations on tensors of two devices, which CUDA and MPS would refuse; tested on the CPU.

No test machine has a second device, so one is played: tensors that the code moved to
`network.device`, or made there, and whatever comes of them, are the device's; all others are the
host's. Every operation that PyTorch runs is watched, and whatever would make a host wait for its
device is counted. Copies of a `PlayedLink` arrive as late as they may.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from srcli.inference.device_link import PlainLink
from srcli.models.layers import windows

MAKERS = ("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "tensor", "zeros")
MOVES = ("copy_", "_to_copy", "_local_scalar_dense")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "repeat_interleave", "_unique2")


class TwoDevices(TorchDispatchMode):
    """Refuses an operation on a tensor of the device and one of the host."""

    def __init__(self) -> None:
        super().__init__()
        self.device: dict[int, torch.UntypedStorage] = {}  # kept, so that no address is used again
        self.operations = 0
        self.waits: list[str] = []
        """Operations that would have made the host wait."""

    def there(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self.device

    def put_all(self, module: nn.Module) -> None:
        for tensor in (*module.parameters(), *module.buffers()):
            self.put(tensor)

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self.device[storage.data_ptr()] = storage
        return tensor

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        on_device = [x for x in given if self.there(x)]
        # A single number of the host may meet any tensor.
        on_host = [x for x in given if x.dim() and x.numel() and not self.there(x)]
        name = func.name().removeprefix("aten::").split(".")[0]
        if name not in MOVES:
            assert not (on_device and on_host), f"{name} on tensors of two devices"
        if on_device and name in WAITS and func.name() != "aten::repeat_interleave.self_int":
            self.waits.append(name)
        result = func(*args, **kwargs)
        if on_device and name != "copy_":
            self.operations += 1
            for made in tree_leaves(result):
                if isinstance(made, torch.Tensor):
                    self.put(made)
        return result


@contextmanager
def two_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoDevices]:
    windows._regions.cache_clear()
    windows._surroundings.cache_clear()  # what the play has not seen made
    mode = TwoDevices()
    to, cpu = torch.Tensor.to, torch.Tensor.cpu

    def moved(self: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        result = to(self, *args, **kwargs)
        likes = [x for x in args if isinstance(x, torch.Tensor)]
        device = any(isinstance(x, torch.device) for x in (*args, *kwargs.values()))
        if device or any(mode.there(x) for x in likes):
            return mode.put(result.clone() if result is self else result)
        return result

    def fetched(self: torch.Tensor) -> torch.Tensor:
        if mode.there(self):
            mode.waits.append("cpu")
        with torch.utils._python_dispatch._disable_current_modes():
            return cpu(self).clone()

    def making(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(*args, **kwargs) -> torch.Tensor:
            result = make(*args, **kwargs)
            return mode.put(result) if kwargs.get("device") is not None else result

        return made

    with monkeypatch.context() as patch, mode:
        for name in MAKERS:
            patch.setattr(torch, name, making(getattr(torch, name)))
        patch.setattr(torch.Tensor, "to", moved)
        patch.setattr(torch.Tensor, "cpu", fetched)
        watch_reads(mode, patch)
        yield mode
    windows._regions.cache_clear()
    windows._surroundings.cache_clear()


def watch_reads(mode: TwoDevices, patch: pytest.MonkeyPatch) -> None:
    """Count lists made of the device's tensors, and refuse arrays."""
    tolist, numpy = torch.Tensor.tolist, torch.Tensor.numpy

    def listed(self: torch.Tensor) -> list:
        if mode.there(self):
            mode.waits.append("tolist")
        return tolist(self)

    def as_array(self: torch.Tensor) -> np.ndarray:
        assert not mode.there(self), "numpy() of a tensor of the device"
        return numpy(self)

    patch.setattr(torch.Tensor, "tolist", listed)
    patch.setattr(torch.Tensor, "numpy", as_array)


class PlayedLink(PlainLink):
    """A link whose copies hold garbage until someone waits for them, as pinned memory does.

    Args:
        mode: The play, if there is one: what is sent is then the device's.
    """

    def __init__(self, mode: TwoDevices | None = None) -> None:
        super().__init__(torch.device("cpu"))
        self.mode = mode
        self.fetched: list[torch.Tensor] = []
        self.most = 0
        self._waiting = 0

    def send(self, pixels: np.ndarray) -> torch.Tensor:
        sent = super().send(pixels)
        return sent if self.mode is None else self.mode.put(sent.clone())

    def fetch(self, packed: torch.Tensor) -> Callable[[], torch.Tensor]:
        assert packed.is_contiguous()
        assert self.mode is None or self.mode.there(packed)
        with torch.utils._python_dispatch._disable_current_modes():
            sent = packed.clone()
            here = torch.full_like(packed, 77)
        self.fetched.append(here)
        self._waiting += 1
        self.most = max(self.most, self._waiting)

        def wait() -> torch.Tensor:
            self._waiting -= 1
            with torch.utils._python_dispatch._disable_current_modes():
                return here.copy_(sent)

        return wait
