"""Device, precision and arithmetic: what is chosen, and what counts as out of memory."""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from srcli import Upscaler, defaults
from srcli.errors import UsageError
from srcli.inference.arithmetic import arithmetic
from srcli.inference.device import PRECISIONS, as_out_of_memory, computes_int8, pick_precision
from srcli.inference.network import LoadedNetwork
from srcli.models import model_spec
from srcli.models.spec import EXACT
from srcli.training.accelerate import step_precision
from srcli.weights import best_scale

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 9.05 GB, other allocations: 1.2 GB)",
    ],
)
def test_libraries_that_run_out_of_memory_are_understood(text: str) -> None:
    with pytest.raises(torch.OutOfMemoryError), as_out_of_memory():
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm(handle)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_other_errors_stay_what_they_are(text: str) -> None:
    with pytest.raises(RuntimeError, match=r"CUDA|cuDNN") as raised, as_out_of_memory():
        raise RuntimeError(text)
    assert not isinstance(raised.value, torch.OutOfMemoryError)


@pytest.mark.parametrize(
    ("capability", "dtype", "steps"),
    [
        ((9, 0), torch.bfloat16, torch.bfloat16),
        ((8, 0), torch.bfloat16, torch.bfloat16),
        ((7, 5), torch.float16, torch.float32),
        ((6, 1), torch.float16, torch.float32),
    ],
)
def test_auto_precision_follows_the_card(
    capability: tuple[int, int], dtype: torch.dtype, steps: torch.dtype, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_precision("auto", CUDA) is dtype
    assert step_precision("auto", CUDA) is steps  # training: small gradients vanish in fp16
    assert pick_precision("auto", torch.device("mps")) is torch.float32


@pytest.mark.parametrize(
    ("instructions", "auto", "computed"),
    [
        ((), torch.float32, False),
        (("avx_vnni",), torch.float32, True),  # there nobody has measured it
        (("avx512_vnni",), torch.int8, True),
        (("avx512_vnni", "avx512_bf16"), torch.bfloat16, True),
        (("avx512_vnni", "amx_bf16"), torch.bfloat16, True),
    ],
)
def test_int8_is_for_cpus_with_instructions_for_it(
    instructions: tuple[str, ...], auto: torch.dtype, computed: bool, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))
    assert pick_precision("auto", CPU) is auto
    assert pick_precision("auto", CPU, to_the_last_bit=True) is torch.float32
    assert pick_precision("auto", torch.device("mps")) is torch.float32
    assert step_precision("auto", CPU) in (torch.float32, torch.bfloat16)
    if computed:
        assert pick_precision("int8", CPU) is torch.int8
        return
    with pytest.raises(UsageError, match=r"int8 is not for cpu here.*VNNI.*hint: use auto"):
        Upscaler(device="cpu", precision="int8")
    with pytest.raises(UsageError, match="int8 is not for cuda"):
        pick_precision("int8", CUDA)


@pytest.mark.skipif(not computes_int8(CPU), reason="this CPU has no VNNI instructions")
def test_int8_is_what_weights_with_ranges_are_computed_in() -> None:
    assert Upscaler("adaformer", device="cpu", precision="int8").network.precision == "int8"
    with pytest.raises(UsageError, match=r"adaformer-s cannot.*int8: its weights have no ranges"):
        Upscaler("adaformer-s", device="cpu", precision="int8")
    with pytest.raises(UsageError, match="int8 cannot be compiled; hint: leave out --compile"):
        Upscaler("adaformer", device="cpu", precision="int8", compiled=True)


def test_auto_is_fp32_for_weights_without_ranges_and_to_compile(monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    assert Upscaler("adaformer-s", device="cpu").network.precision == "fp32"
    monkeypatch.setattr("srcli.inference.network.compile_parts", lambda network: "not now")
    compiled = Upscaler("adaformer", device="cpu", compiled=True)
    assert compiled.network.precision == "fp32"
    assert compiled.network.uncompiled == "not now"


def test_the_command_line_offers_all_precisions() -> None:
    assert list(defaults.PRECISIONS) == ["auto", *PRECISIONS]


def test_tf32_is_for_cards_that_have_it(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    assert pick_precision("tf32", CUDA) is torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(UsageError, match=r"tf32 is not for cuda.*8\.0 on; hint: use fp32"):
        pick_precision("tf32", CUDA)
    with pytest.raises(UsageError, match="tf32 is not for cpu"):
        Upscaler(device="cpu", precision="tf32")


def settings() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.fixture
def others() -> Iterator[None]:
    """Settings as a program around srcli may have chosen them."""
    before = settings()
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.usefixtures("others")
def test_fp32_is_fp32_while_a_network_computes_and_afterwards_what_it_was() -> None:
    with arithmetic(CUDA, tf32=False):
        assert settings() == ("highest", False)
        with arithmetic(CUDA, tf32=False):
            assert settings() == ("highest", False)
        assert settings() == ("highest", False)
    assert settings() == ("medium", True)
    with arithmetic(CUDA, tf32=True):
        assert settings() == ("high", True)
    with arithmetic(CPU, tf32=False):
        assert settings() == ("medium", True)
    with pytest.raises(KeyError), arithmetic(CUDA, tf32=False):
        raise KeyError
    assert settings() == ("medium", True)


@pytest.mark.usefixtures("others")
def test_threads_that_want_the_same_compute_at_once_and_others_wait() -> None:
    both, seen = threading.Barrier(2, timeout=20), []

    def compute(*, tf32: bool, at_once: bool) -> None:
        with arithmetic(CUDA, tf32=tf32):
            if at_once:
                both.wait()
            seen.append(settings())

    same = [threading.Thread(target=compute, kwargs={"tf32": False, "at_once": True})
            for _ in range(2)]  # fmt: skip
    for thread in same:
        thread.start()
    for thread in same:
        thread.join(20)
    assert seen == [("highest", False)] * 2
    other = threading.Thread(target=compute, kwargs={"tf32": True, "at_once": False})
    with arithmetic(CUDA, tf32=False):
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert settings() == ("highest", False)
    other.join(20)
    assert seen[2:] == [("high", True)]
    assert settings() == ("medium", True)


@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("name", ["adaformer-s", "smfanet"])
def test_every_part_of_a_network_runs_in_the_arithmetic_of_its_precision(
    name: str, tile: int, photo: np.ndarray, monkeypatch
) -> None:
    now: list[bool] = []

    @contextlib.contextmanager
    def noted(device: torch.device, *, tf32: bool) -> Iterator[None]:
        now.append(tf32)
        try:
            yield
        finally:
            now.pop()

    monkeypatch.setattr("srcli.inference.network.arithmetic", noted)
    upscaler = Upscaler("adaformer-s", 4, device="cpu", precision="fp32", tile=tile)
    if name == "smfanet":  # tiles that are blended
        upscaler.network = LoadedNetwork.untrained(model_spec(name), 4, CPU, torch.float32)
        upscaler._planner._network = upscaler.network
    seen: list[bool] = []
    for module in upscaler.network.module.modules():
        module.register_forward_hook(lambda *_: seen.append(now == [] or now[-1]))
    upscaler(photo)
    assert len(seen) > 20
    assert not any(seen)
    assert not now


@torch.inference_mode()
@pytest.mark.parametrize("name", ["adaformer", "adaformer-s"])
def test_fp16_is_close(name: str) -> None:
    """On a CPU, which computes it in fp32 and rounds: what cards without bf16 do by default."""
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(1, 3, 16, 16, generator=generator)
    lr = torch.nn.functional.interpolate(lr, size=(64, 64), mode="bicubic").clamp(0, 1)
    full = LoadedNetwork(best_scale(name, 4), CPU, torch.float32)
    half = LoadedNetwork(best_scale(name, 4), CPU, torch.float16)
    off = (half(lr, EXACT).image - full(lr, EXACT).image).abs()
    assert half.reruns == 0
    assert off.max() < 0.004  # a level of 255
    assert off.mean() < 2e-4
