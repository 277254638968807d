"""Training never mixes tensors of the device with the host's."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from srcli.training.config import TrainingConfig
from srcli.training.loop import RunOptions, train
from tests.training.conftest import Recorder
from tests.two_devices import two_devices


def test_no_operation_mixes_devices(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, halting on, validation, a checkpoint and continuing from it: the same weights."""
    plain = train(config, RunOptions(tmp_path / "plain"), [])
    with two_devices(monkeypatch) as mode:
        out = tmp_path / "played"
        with pytest.raises(KeyboardInterrupt):
            train(config, RunOptions(out), [Recorder(interrupt_at=3)])
        played = train(config, RunOptions(out, resume=True), [])
    assert mode.operations > 1000
    assert plain is not None
    assert played is not None
    wanted, found = load_file(plain), load_file(played)
    assert all(wanted[name].equal(found[name]) for name in wanted)
