"""An image comes out whole where memory runs out for real, in a process held to a limit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from srcli import Upscaler
from srcli.inference.device import as_out_of_memory
from tests.conftest import save_png
from tests.forked_python import run_forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")

# The network has computed something before, so that its libraries are loaded and no limit of ours
# meets them; then there may be so many MB more.
LIMITED = """
import json, resource, sys
import numpy as np, psutil, torch
from srcli import Upscaler

torch.set_num_threads(1)
image = np.load(sys.argv[1])
upscaler = Upscaler("adaformer-s", 2, device="cpu", precision="fp32", tile=0)
upscaler(image[:32, :32])
unlimited = resource.getrlimit(resource.RLIMIT_AS)
limit = psutil.Process().memory_info().vms + int(sys.argv[3]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, unlimited[1]))
upscaled = upscaler.upscale(image)
resource.setrlimit(resource.RLIMIT_AS, unlimited)
np.save(sys.argv[2], upscaled.image)
report = upscaled.report
json.dump([report.restarts, report.tiles, report.exact], sys.stdout)
"""

# The command, in a process that may take no more once its image is to be computed.
COMMAND = """
import resource
import psutil, torch
from srcli import Upscaler
from srcli.cli.main import run

torch.set_num_threads(1)
unlimited = resource.getrlimit(resource.RLIMIT_AS)
upscale = Upscaler.upscale

def limited(self, *arguments, **named):
    limit = psutil.Process().memory_info().vms + 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, unlimited[1]))
    try:
        return upscale(self, *arguments, **named)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)

Upscaler.upscale = limited
run()
"""


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_forked(["-c", script, *arguments])


@pytest.mark.slow
def test_too_little_memory_means_smaller_tiles(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (256, 320, 3), dtype=np.uint8)  # nothing of it halts
    np.save(tmp_path / "lr.npy", image)
    restarts, tiles, exact = 0, 0, False
    for megabytes in range(150, 100, -8):  # what suffices is not the same on all machines
        ended = python(LIMITED, tmp_path / "lr.npy", tmp_path / "sr.npy", megabytes)
        assert ended.returncode == 0, ended.stderr
        restarts, tiles, exact = json.loads(ended.stdout)
        if restarts:
            break
    assert restarts >= 1
    assert tiles > 1
    assert exact
    whole = Upscaler("adaformer-s", 2, device="cpu", precision="fp32", tile=0).upscale(image)
    assert (whole.report.restarts, whole.report.tiles) == (0, 1)
    assert np.array_equal(np.load(tmp_path / "sr.npy"), whole.image)


def test_what_does_not_fit_at_all_fails_in_one_line(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    (tmp_path / "in").mkdir()
    save_png(tmp_path / "in" / "a.png", rng.integers(0, 256, (160, 160, 3), dtype=np.uint8))
    words = ("upscale", tmp_path / "in", "-o", tmp_path / "out", "-s", 2, "--device", "cpu")
    ended = python(COMMAND, *words)
    assert ended.returncode == 3, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "a.png" in line]
    assert "160x160 takes more memory than is free on cpu, even in the smallest tiles" in line
    assert "please report" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "out").glob("*.png")) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB, max allowed: 1 GB)"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_all_that_run_out_of_memory_raise_one_error(error: Exception) -> None:
    with pytest.raises(torch.OutOfMemoryError), as_out_of_memory():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes") as caught, as_out_of_memory():
        raise RuntimeError("shapes cannot be multiplied")
    assert not isinstance(caught.value, torch.OutOfMemoryError)
