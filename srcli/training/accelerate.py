"""Fast steps on an accelerator: reduced arithmetic, and a step recorded as one CUDA graph.

A step of a small network is a thousand small kernels; launched one by one they leave a GPU idle
most of the time. Recorded once and replayed, they follow each other without the host.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from srcli.inference.device import computes_bf16, pick_precision

__all__ = [
    "CudaGraphs",
    "Graphs",
    "Replay",
    "fast_arithmetic",
    "full_arithmetic",
    "in_a_line",
    "step_precision",
]

_T = TypeVar("_T")
_WARM_STEPS = 3  # run as usual first: kernels are chosen and compiled, optimizers set up


def step_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision of steps: "auto" is bf16 where it is native, else fp32.

    Never fp16, in which small gradients vanish.

    Raises:
        UsageError: See `pick_precision`.
    """
    if name == "auto" and not computes_bf16(device):
        return torch.float32
    return pick_precision(name, device)


@contextmanager
def fast_arithmetic(device: torch.device) -> Generator[None]:
    """TF32 for what is left in fp32, and convolutions by the kernel that is fastest when tried."""
    with _arithmetic(device, tf32=True):
        yield


@contextmanager
def full_arithmetic(device: torch.device) -> Generator[None]:
    """fp32 is fp32: for what is measured. Sizes vary there, so that no kernels are tried."""
    with _arithmetic(device, tf32=False):
        yield


@contextmanager
def _arithmetic(device: torch.device, *, tf32: bool) -> Generator[None]:
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        cudnn.allow_tf32 = cudnn.benchmark = tf32
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]


@runtime_checkable
class Graphs(Protocol):
    """A recorder of work on a device, to be replayed."""

    def warm(self, work: Callable[[], _T]) -> _T:
        """Do the work as usual, where it will be recorded."""
        ...

    def record(self, work: Callable[[], _T]) -> tuple[Callable[[], None], _T]:
        """Record the work without doing it.

        Returns:
            What does it again, and the tensors that hold its results each time.

        Raises:
            RuntimeError: It cannot be recorded: it waits for the device, say.
        """
        ...


class CudaGraphs:
    """Records CUDA graphs.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)

    def warm(self, work: Callable[[], _T]) -> _T:
        """Do the work on the stream that records later: gradients remember their stream."""
        here = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            done = work()
        here.wait_stream(self._stream)
        return done

    def record(self, work: Callable[[], _T]) -> tuple[Callable[[], None], _T]:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            done = work()
        return graph.replay, done


class Replay(Generic[_T]):
    """Runs a function of tensors the usual way a few times, then records and replays it.

    Results lie in the same tensors each time: use them before the next call.

    Args:
        graphs: What records.
        tell: Told in a line if recording fails; the function then runs the usual way for good.
    """

    def __init__(self, graphs: Graphs, tell: Callable[[str], None]) -> None:
        self._graphs, self._tell = graphs, tell
        self._works = True
        self._kind: Hashable = None
        self._forget()

    def __call__(
        self, kind: Hashable, given: Sequence[Tensor], function: Callable[[Sequence[Tensor]], _T]
    ) -> _T:
        """Run `function(given)`.

        Args:
            kind: Whatever else the function depends on; another one is recorded again.
            given: Tensors whose shapes depend on `kind` alone.
            function: Reads nothing from the device, and allocates what it returns.
        """
        if kind != self._kind:
            self._kind = kind
            self._forget()
        if not self._works:
            return function(given)
        if self._replay is None:
            if self._warmed < _WARM_STEPS:
                self._warmed += 1
                return self._graphs.warm(lambda: function(given))
            if not self._record(given, function):
                return function(given)
        assert self._replay is not None
        assert self._results is not None
        for own, one in zip(self._given, given, strict=True):
            own.copy_(one)
        self._replay()
        return self._results

    def _record(self, given: Sequence[Tensor], function: Callable[[Sequence[Tensor]], _T]) -> bool:
        """Record the function over tensors of its own; whether that went well."""
        own = [one.clone() for one in given]
        try:
            self._replay, self._results = self._graphs.record(lambda: function(own))
        except RuntimeError as error:
            self._works = False
            self._tell(f"steps are not recorded, which is slower: {in_a_line(error)}")
            return False
        self._given = own
        return True

    def _forget(self) -> None:
        """Give back what was recorded."""
        self._warmed = 0
        self._replay: Callable[[], None] | None = None
        self._results: _T | None = None
        self._given: list[Tensor] = []


def in_a_line(error: Exception) -> str:
    """The kind of an error, and the first two lines of what it says in one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])}"
