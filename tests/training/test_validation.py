"""Validation sets: what is of no use is known before the first step."""

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.errors import UsageError
from srcli.training.config import TrainingConfig, ValidationConfig
from srcli.training.loop import RunOptions, train
from srcli.training.validation import find_validation_sets
from tests.training.conftest import Recorder


def spoil(benchmark: Path, what: str) -> None:
    hr, lr = benchmark / "x2" / "HR", benchmark / "x2" / "LR"
    match what:
        case "size":
            Image.new("RGB", (12, 20)).save(lr / "one.png")
        case "depth":
            Image.fromarray(np.zeros((20, 22), np.uint16)).save(lr / "one.png")
        case "broken":
            (hr / "one.png").write_bytes((hr / "one.png").read_bytes()[:200])
        case _:
            Image.new("RGB", (4, 4)).save(hr / "one.png")
            Image.new("RGB", (2, 2)).save(lr / "one.png")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("size", "HR is 44x40 px and LR 12x20, which is no x2 pair"),
        ("depth", "not 8 bits"),
        ("broken", r"one\.png"),
        ("small", "one is too small, 2 px of each side are not measured"),
    ],
)
def test_useless_images_end_it_before_any_step(
    config: TrainingConfig, benchmark_set: Path, tmp_path: Path, what: str, line: str
):
    spoil(benchmark_set, what)
    recorder = Recorder()
    with pytest.raises(UsageError, match=line) as caught:
        train(config, RunOptions(tmp_path / "run"), [recorder])
    assert "\n" not in str(caught.value)
    assert not recorder.steps


def test_other_files_beside_the_images_do_not_matter(benchmark_set: Path):
    for part in ("HR", "LR"):
        (benchmark_set / "x2" / part / "readme.txt").write_text("hello")
    assert len(find_validation_sets([str(benchmark_set)], 2)[0].pairs) == 1


def test_a_folder_of_originals_is_a_set(benchmark_set: Path, tmp_path: Path):
    shutil.copytree(benchmark_set / "x2" / "HR", tmp_path / "Mine")
    (pair,) = find_validation_sets([str(tmp_path / "Mine")], 2)[0].pairs
    hr, lr = pair.load(2)
    assert hr is not None
    assert (hr.shape, lr.shape) == ((40, 44, 3), (20, 22, 3))


def test_a_folder_may_have_any_name(config: TrainingConfig, benchmark_set: Path, tmp_path: Path):
    named = tmp_path / 'My "best" set.v2'
    benchmark_set.rename(named)
    sets = ValidationConfig((str(named),), every_minutes=0)
    path = train(replace(config, validation=sets), RunOptions(tmp_path / "run", steps=1), [])
    assert path is not None
    entry = tomllib.loads(path.with_suffix(".manifest.toml").read_text())
    assert entry["weights"][0]["psnr_y"].keys() == {named.name}


def test_two_sets_of_one_name_are_refused(benchmark_set: Path, tmp_path: Path):
    """Figures go by the folder's name: the second would take the place of the first."""
    (tmp_path / "other").mkdir()
    shutil.copytree(benchmark_set, tmp_path / "other" / benchmark_set.name)
    both = [str(benchmark_set), str(tmp_path / "other" / benchmark_set.name)]
    with pytest.raises(UsageError, match="another folder is called Mini too"):
        find_validation_sets(both, 2)


def test_a_path_too_long_is_no_folder():
    with pytest.raises(UsageError, match="there is no such folder"):
        find_validation_sets(["x" * 5000], 2)


def test_too_little_memory_costs_the_figures_and_not_the_run(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def greedy(*_: object, **__: object) -> float:
        return float(torch.empty(1 << 60, dtype=torch.uint8).sum())

    monkeypatch.setattr("srcli.training.validation.psnr_y", greedy)
    recorder = Recorder()
    path = train(config, RunOptions(tmp_path / "run"), [recorder])
    assert path is not None
    entry = tomllib.loads(path.with_suffix(".manifest.toml").read_text())
    assert not entry["weights"][0]["psnr_y"]
    assert len(recorder.steps) == 6
    assert "not validated at step 6: one of Mini takes more memory" in recorder.warnings[-1]
