"""A worker as the plain object that it is: its version, its weights, its jobs; without Ray."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.cluster.concurrent_stages import ConcurrentStages, NotBegun
from srcli.cluster.messages import WorkerSetup
from srcli.cluster.weights_set import weights_files, weights_hashes
from srcli.cluster.worker import ClusterWorker
from srcli.cluster.worker_sizes import NodeResources, worker_size
from srcli.errors import OutOfMemory, UsageError
from srcli.inference.report import Report
from srcli.jobs.identity import digest
from srcli.jobs.image_stages import ComputedResult
from srcli.jobs.job import Job
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.jobs.upscale_image import BatchOptions, NetworkRequest
from srcli.media import Decoded, DecodedImage, DecodeLimits, MetadataPolicy

REPORT = Report(0.1, 1, 1, 0, 0.1, (), exact=True)


@pytest.fixture
def setup() -> WorkerSetup:
    network = NetworkRequest("adaformer-s", 4.0, "cpu", "fp32", "fast", None, compiled=False)
    limits = SizeLimits("adaformer-s", 4, 4096.0)
    batch = BatchOptions(TargetSize(4.0), 95, limits, MetadataPolicy())
    return WorkerSetup(network, weights_hashes("adaformer-s"), batch, DecodeLimits(), 1)


@pytest.fixture
def job(tmp_path: Path, photo: np.ndarray) -> Job:
    Image.fromarray(photo[:16, :24]).save(tmp_path / "x.png")
    return Job(tmp_path / "x.png", tmp_path / "out" / "x.png", "png")


@pytest.fixture
def worker() -> Iterator[ClusterWorker]:
    made = ClusterWorker()
    yield made
    made.close()


def test_another_version_of_srcli_is_a_problem(worker: ClusterWorker) -> None:
    place = worker.place("99.0")
    assert "srcli 0.1.0 is installed there, and 99.0 here; hint: pip install" in place.problem
    assert not worker.place("0.1.0").problem


def test_result_waits_for_the_driver_to_name_it(
    worker: ClusterWorker, setup: WorkerSetup, job: Job
) -> None:
    assert worker.begin(setup).device == "cpu, fp32"
    result = worker.upscale(job)
    assert not result.reason
    assert result.temporary is not None
    assert result.made is not None
    assert not job.target.exists()
    assert result.temporary.parent == job.target.parent
    assert result.made.sha256 == digest(result.temporary)
    assert (result.made.width, result.made.height) == (96, 64)
    assert result.made.origin.sha256 == digest(job.source)


def test_file_that_the_node_does_not_have(
    worker: ClusterWorker, setup: WorkerSetup, job: Job
) -> None:
    worker.begin(setup)
    job.source.unlink()
    assert "has no such file; hint: every node needs" in worker.upscale(job).reason


def test_worker_that_is_told_to_stop_begins_nothing(
    worker: ClusterWorker, setup: WorkerSetup, job: Job
) -> None:
    worker.begin(setup)
    worker.stop()
    assert not worker.upscale(job).begun


def test_weights_that_a_worker_lacks_come_from_the_driver(
    worker: ClusterWorker,
    setup: WorkerSetup,
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = weights_files("adaformer-s")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SRCLI_CACHE", "")
    driver = replace(setup, weights={"adaformer-s_x3": "0" * 64, **setup.weights})
    assert worker.begin(driver).lacks_weights
    assert "other weights than the driver's" in worker.begin(driver, files).problem
    assert worker.begin(setup, files).device == "cpu, fp32"
    assert list((tmp_path / "cache").rglob("imported/*.safetensors"))
    assert not worker.upscale(job).reason


class Stages:
    """Stages that wait for the test."""

    def __init__(self, fail: int = 0) -> None:
        self.computed: list[str] = []
        self.gate = threading.Event()
        self.storing = threading.Event()
        self.fail = fail

    def load(self, job: Job) -> Decoded:
        return Decoded(DecodedImage(np.zeros((1, 1, 3), np.uint8), "png"), 0, 0, "")

    def compute(self, job: Job, read: Decoded) -> ComputedResult:
        if job.source.name == "large" and self.fail:
            self.fail -= 1
            self.gate.set()  # lets the result before it be stored
            raise OutOfMemory("too little")
        self.computed.append(job.source.name)
        return ComputedResult(lambda: ((), REPORT), 100)

    def store(self, _: Job, result: ComputedResult) -> tuple[tuple[str, ...], Report]:
        self.storing.set()
        assert self.gate.wait(20)
        return result.write()


def named(name: str) -> Job:
    return Job(Path(name), Path(f"{name}.png"), "png")


def test_image_too_large_beside_others_is_computed_again_alone() -> None:
    lanes, stages = ConcurrentStages(1, 1000), Stages(fail=1)
    first = threading.Thread(target=lanes.run, args=(stages, named("small")))
    first.start()
    assert stages.storing.wait(20)
    assert lanes.run(stages, named("large")) == ((), REPORT)
    first.join()
    assert stages.computed == ["small", "large"]
    stages.fail = 1
    with pytest.raises(OutOfMemory):  # nothing else holds memory
        lanes.run(stages, named("large"))


def test_jobs_not_computed_yet_end_when_the_worker_stops() -> None:
    lanes, stages = ConcurrentStages(1, 1000), Stages()
    stages.gate.set()
    lanes.run(stages, named("a"))
    lanes.stop()
    with pytest.raises(NotBegun):
        lanes.run(stages, named("b"))
    assert stages.computed == ["a"]


def test_sizes_of_workers() -> None:
    nodes = [NodeResources(16, 2), NodeResources(16, 2), NodeResources(4, 0)]
    default = worker_size(nodes, None, None)
    assert (default.count, default.cores, default.gpus) == (4, 8, 1)
    shared = worker_size(nodes, None, 0.5)
    assert (shared.count, shared.cores) == (8, 4)
    on_cores = worker_size(nodes, None, 0)
    assert (on_cores.count, on_cores.cores) == (3, 8)
    with pytest.raises(UsageError, match="enough for 4; hint: --workers 4"):
        worker_size(nodes, 5, 1)
    with pytest.raises(UsageError, match="--gpus-per-worker 0"):
        worker_size([NodeResources(4, 0)], 1, 1)
