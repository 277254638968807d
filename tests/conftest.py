"""Fixtures that all tests share."""
# ruff: noqa: E402 (types are checked at run time from the first import of srcli on)

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # small tensors: more threads only wait for each other

from beartype import BeartypeConf
from beartype.claw import beartype_package

beartype_package("srcli", conf=BeartypeConf(is_pep484_tower=True))  # before anything imports it

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from tests.forked_python import fork_workers, start_fresh_workers

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="srcli-tests-")  # records of results
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a background job, whose children would
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignore Ctrl-C, too

settings.register_profile("srcli", deadline=None, derandomize=True)
settings.load_profile("srcli")
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The team's folder of papers, golden outputs and benchmark sets; users do not have it."""
    if not SHARED.is_dir():
        pytest.skip("../shared is absent: golden outputs and benchmark sets are not at hand")
    return SHARED


_may_read_shared = True  # between tests, and in those that ask for the fixture


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Refuse ../shared to tests without the fixture: they pass where it is absent, too."""
    global _may_read_shared
    _may_read_shared = "shared" in getattr(item, "fixturenames", ())
    try:
        return (yield)
    finally:
        _may_read_shared = True


def _refuse_shared(event: str, args: tuple[object, ...]) -> None:
    """Audit hook: fail a test that opens or lists something below ../shared without asking."""
    if _may_read_shared or event not in ("open", "os.listdir", "os.scandir") or not args:
        return
    path = args[0]
    if (
        isinstance(path, str)
        and "shared" in path
        and Path(os.path.abspath(path)).is_relative_to(SHARED)  # noqa: PTH100
    ):
        pytest.fail(
            f"opens {path} without the fixture `shared`: it fails where ../shared is absent"
        )


sys.addaudithook(_refuse_shared)


@pytest.fixture(scope="session", autouse=True)
def decoders_are_forks() -> None:
    """Decoders begin with everything imported, as `ForkedPython` does: each costs 0.5 s less."""
    fork_workers()


@pytest.fixture
def fresh_decoders() -> Iterator[None]:
    """Decoders are processes that import everything themselves, as outside of tests."""
    start_fresh_workers()
    yield
    fork_workers()


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    folder = ROOT / "docs" / "samples"
    return sorted(p for p in folder.rglob("*") if p.suffix in {".png", ".jpg", ".webp"})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def photo(rng: np.random.Generator) -> np.ndarray:
    """A small image with flat, smooth and busy parts, (40, 56, 3) uint8."""
    y, x = np.mgrid[0:40, 0:56]
    image = np.stack([x * 4, y * 6, (x + y) * 2], -1).astype(np.uint8)
    image[:16, :24] = (200, 30, 90)
    image[20:, 30:] = rng.integers(0, 256, (20, 26, 3))
    return image


def save_png(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path
