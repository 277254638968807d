"""Operations on tensors of two devices, which CUDA and MPS would refuse; tested on the CPU.

No test machine has a second device, so one is played: tensors that the code moved to
`network.device`, or made there, and whatever comes of them, are the device's; all others are the
host's. Every operation that PyTorch runs is watched.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MAKERS = ("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "tensor", "zeros")
MOVES = ("copy_", "_to_copy", "_local_scalar_dense")


class TwoDevices(TorchDispatchMode):
    """Refuses an operation on a tensor of the device and one of the host."""

    def __init__(self) -> None:
        super().__init__()
        self.device: dict[int, torch.UntypedStorage] = {}  # kept, so that no address is used again
        self.operations = 0

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
        result = func(*args, **kwargs)
        if on_device and name != "copy_":
            self.operations += 1
            for made in tree_leaves(result):
                if isinstance(made, torch.Tensor):
                    self.put(made)
        return result


@contextmanager
def two_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoDevices]:
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
        yield mode
