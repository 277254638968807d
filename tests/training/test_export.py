"""Files a run leaves for users: weights as they will run, and a complete entry."""

import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer
from srcli.training.config import TrainingConfig
from srcli.training.export import as_exported, export_weights
from srcli.training.state import TrainingState


@contextmanager
def no_file_above(size: int) -> Generator[None]:
    """Files cannot grow beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_previous_entry(config: TrainingConfig, tmp_path: Path):
    state, path = TrainingState(config, torch.device("cpu")), tmp_path / "tiny.safetensors"
    export_weights(state, config, path, {"Mini": 30.0})
    entry = tmp_path / "tiny.manifest.toml"
    before = entry.read_bytes()
    wordy = replace(config, weights=replace(config.weights, training_data="noise " * 100_000))
    with no_file_above(path.stat().st_size + 10_000), pytest.raises(OSError, match="too large"):
        export_weights(state, wordy, path, {"Mini": 31.0})
    assert entry.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} >= {path.name, entry.name}
    assert not list(tmp_path.glob(".*tmp"))


def test_what_is_measured_runs_as_users_run_it(config: TrainingConfig):
    shipped = model_spec("adaformer-s").build(2)
    assert isinstance(shipped, AdaFormer)
    whole = replace(config, network=replace(shipped.config, region=0))  # as in training
    state = TrainingState(whole, torch.device("cpu"))
    network = as_exported(state, whole)
    assert isinstance(network, AdaFormer)
    assert network.config.region == shipped.config.region > 0
    parameters = network.state_dict()
    for name, tensor in state.average.state_dict().items():
        assert torch.equal(parameters[name], tensor.half().float())
    custom = as_exported(TrainingState(config, torch.device("cpu")), config)
    assert isinstance(custom, AdaFormer)
    assert custom.config == config.network
