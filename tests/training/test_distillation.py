"""Training with a teacher: the loss, the log, what continues and what is refused, the entry."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from srcli.data.patches import PatchBatch
from srcli.errors import UsageError
from srcli.training.checkpoint import read_tensors, write_whole
from srcli.training.config import DistillationConfig, TrainingConfig
from srcli.training.distributed import ProcessGroup
from srcli.training.export import export_weights
from srcli.training.families import for_patches
from srcli.training.loggers import JsonLogger, LineLogger
from srcli.training.loop import RunOptions, train
from srcli.training.schedule import rates
from srcli.training.state import TrainingState
from srcli.training.step import Figures, StepOptions, Stepper
from srcli.weights.manifest_file import box, read_manifest
from tests.training.conftest import Recorder

CPU = torch.device("cpu")
SMALL_X2 = Path(__file__).parent / "adaformer-s_x2.safetensors"  # trained; not in the box
TAUGHT = DistillationConfig(
    str(SMALL_X2),
    weight=0.9,
    last_weight=0.1,
    falls_from=0.3,
    falls_until=0.7,
    own_size=True,
    licence="CC-BY-4.0",
)


@pytest.fixture
def taught(config: TrainingConfig, tmp_path: Path) -> TrainingConfig:
    """A run with a teacher and patches of own size; all runs of a test share the outputs."""
    return replace(config, distillation=replace(TAUGHT, cache=str(tmp_path / "cache")))


@pytest.fixture
def batch(rng: np.random.Generator) -> PatchBatch:
    """Four patches, the last one of own size."""
    lr = torch.as_tensor(rng.integers(0, 256, (4, 3, 16, 16), dtype=np.uint8))
    hr = torch.as_tensor(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
    teacher = torch.as_tensor(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
    hr[3] = teacher[3]
    return PatchBatch(0, lr, hr, teacher, own_size=1)


def take(config: TrainingConfig, batch: PatchBatch, weight: float, folder: Path) -> Figures:
    """One step from the beginning."""
    state = TrainingState(config, CPU)
    network = for_patches(state.network, config.loss.token_share)
    how = StepOptions(torch.float32, cut=lambda step: batch, tell=lambda line: None)
    stepper = Stepper(config, state, network, ProcessGroup(0, 1, CPU), how, folder=folder)
    return stepper.take(batch, replace(rates(config.schedule, 0.3), teacher=weight))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_is_its_plain_formula(
    config: TrainingConfig, batch: PatchBatch, tmp_path: Path, weight: float
):
    assert batch.teacher is not None
    state = TrainingState(config, CPU)
    output = for_patches(state.network, config.loss.token_share)(batch.lr.float() / 255, math.inf)
    sr = output.image * 255
    to_teacher = (sr - batch.teacher.float()).abs()
    to_hr = (sr - batch.hr.float()).abs()
    first = (weight * to_teacher + (1 - weight) * to_hr).mean()
    # With bilinear confidence, C·e - log C over the three patches that have an original.
    wide = torch.nn.functional.interpolate(output.confidence, (32, 32), mode="bilinear")[:3]
    error = to_hr[:3].mean(1, keepdim=True).detach()
    second = (wide * error - (wide + 1e-8).log()).mean((0, 2, 3)).sum()
    (first + config.loss.uncertainty * second).backward()
    norm = torch.stack([p.grad.norm() for p in state.network.parameters() if p.grad is not None])

    figures = take(config, batch, weight, tmp_path)
    assert figures.teacher is not None
    assert figures.teacher.item() == pytest.approx(to_teacher.mean().item(), rel=1e-5)
    assert figures.restoration.item() == pytest.approx(to_hr[:3].mean().item(), rel=1e-5)
    assert figures.uncertainty.item() == pytest.approx(second.item(), rel=1e-5)
    assert figures.gradient.item() == pytest.approx(norm.norm().item(), rel=1e-4)


def test_a_teacher_that_is_the_original_changes_nothing(
    config: TrainingConfig, batch: PatchBatch, tmp_path: Path
):
    without = take(config, PatchBatch(0, batch.lr, batch.hr), 0.0, tmp_path)
    same = take(config, PatchBatch(0, batch.lr, batch.hr, batch.hr), 0.6, tmp_path)
    assert without.teacher is None
    assert same.teacher == same.restoration == without.restoration
    assert same.gradient.item() == pytest.approx(without.gradient.item(), rel=1e-5)


def test_both_distances_and_the_weight_are_logged(taught: TrainingConfig, tmp_path: Path):
    recorder, log = Recorder(), JsonLogger(tmp_path / "log.jsonl", print)
    with (tmp_path / "lines.txt").open("w") as stream:
        train(taught, RunOptions(tmp_path / "run"), [recorder, log, LineLogger(stream)])
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if entry["event"] == "steps"]
    weights = [entry["teacher_weight"] for entry in steps]
    assert weights == pytest.approx([0.9, 0.9, 0.9 - 0.8 / 12, 0.5, 0.1 + 0.8 / 12, 0.1])
    assert all(0 < entry["teacher"] != entry["restoration"] > 0 for entry in steps)
    passes = [entry for entry in entries if entry["event"] == "teacher"]
    assert [(entry["images"], entry["of"]) for entry in passes] == [(0, 6), (6, 6)]
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    assert "teacher: 6 of 6 images" in lines
    told = f"teacher L1 {steps[3]['teacher']:.3f}  weight 0.50"
    assert told in next(line for line in lines if " step 4  L1" in line)


def test_without_a_teacher_the_log_has_none(config: TrainingConfig, tmp_path: Path):
    recorder = Recorder()
    train(config, RunOptions(tmp_path, steps=1), [recorder])
    assert recorder.steps[0].teacher is recorder.steps[0].teacher_weight is None
    assert not recorder.teaching


def test_resume_goes_on_bit_for_bit(taught: TrainingConfig, tmp_path: Path):
    whole, parts = Recorder(), [Recorder(interrupt_at=4), Recorder()]
    train(taught, RunOptions(tmp_path / "whole"), [whole])
    with pytest.raises(KeyboardInterrupt):
        train(taught, RunOptions(tmp_path / "parts"), [parts[0]])
    train(taught, RunOptions(tmp_path / "parts", resume=True), [parts[1]])
    wanted, got = (load_file(tmp_path / n / "checkpoint.safetensors") for n in ("whole", "parts"))
    assert wanted.keys() == got.keys()
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)
    distances = [(r.teacher, r.restoration) for r in parts[0].steps + parts[1].steps]
    assert distances == [(r.teacher, r.restoration) for r in whole.steps]
    assert [r.images for r in parts[1].teaching] == [6]
    assert not parts[1].warnings


@pytest.mark.slow
def test_resume_tells_of_weights_and_refuses_another_teacher(
    taught: TrainingConfig, config: TrainingConfig, tmp_path: Path
):
    def but(**changed: object) -> TrainingConfig:
        return replace(taught, distillation=replace(taught.distillation, **changed))

    run, recorder = tmp_path / "run", Recorder()
    train(taught, RunOptions(run, steps=1), [])
    given = load_file(SMALL_X2)
    save_file({**given, "tail.bias": given["tail.bias"] + 0.1}, tmp_path / "other.safetensors")
    for changed, line in {
        but(teacher=str(tmp_path / "other.safetensors")): "teacher sha256 b1997a.*, now it is sha",
        but(self_ensemble=True): "self_ensemble False, now it is True; hint: continue with the",
        but(own_size=False): "own_size True, now it is False",
        config: ".teacher sha256 b1997a2eccbeca46, now it is none",
    }.items():
        with pytest.raises(UsageError, match=f"was made with distillation.*{line}") as caught:
            train(changed, RunOptions(run, resume=True), [])
        assert "\n" not in str(caught.value)
    # A copy of the teacher is the same teacher; the cache may have moved.
    (tmp_path / "copy.pth").write_bytes(SMALL_X2.read_bytes())
    moved = but(teacher=str(tmp_path / "copy.pth"), weight=0.5, cache=str(tmp_path / "elsewhere"))
    train(moved, RunOptions(run, resume=True, steps=2), [recorder])
    assert [r.step for r in recorder.steps] == [2]
    assert "distillation.weight was 0.9, and is 0.5 from step 1 on" in recorder.warnings


def test_a_checkpoint_from_before_teachers_goes_on_without_one(
    config: TrainingConfig, taught: TrainingConfig, tmp_path: Path
):

    train(config, RunOptions(tmp_path, steps=1), [])
    path = tmp_path / "checkpoint.safetensors"
    file = read_tensors(path)
    old = {key: file.note(key) for key in file.notes if not key.startswith("distillation")}
    write_whole(path, file.tensors, old)
    with pytest.raises(UsageError, match=r"distillation.teacher none, now it is sha256 b1997a"):
        train(taught, RunOptions(tmp_path, resume=True), [])
    recorder = Recorder()
    train(config, RunOptions(tmp_path, resume=True, steps=2), [recorder])
    assert [r.step for r in recorder.steps] == [2]
    assert not recorder.warnings


def test_the_entry_names_the_teacher_and_can_be_read(taught: TrainingConfig, tmp_path: Path):
    path = train(taught, RunOptions(tmp_path / "run", steps=1), [])
    assert path is not None
    (entry,) = read_manifest(path.with_suffix(".manifest.toml"), path.parent)
    sha256 = hashlib.sha256(SMALL_X2.read_bytes()).hexdigest()
    named = f"adaformer-s_x2.safetensors (adaformer-s x2), sha256 {sha256}, licence: CC-BY-4.0"
    assert entry.teacher == named
    state = TrainingState(taught, CPU)
    export_weights(state, taught, tmp_path / "tiny.safetensors", {}, 'of "A"\n (ä, licence: X)')
    (entry,) = read_manifest(tmp_path / "tiny.manifest.toml")
    assert entry.teacher == 'of "A"\n (ä, licence: X)'


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"teacher": ""}, "distillation.own_size is true without a teacher; hint: name a"),
        ({"weight": 1.5}, "distillation.weight is 1.5: it must lie in 0..1"),
        ({"last_weight": -1.0}, "distillation.last_weight is -1.0: it must lie in 0..1"),
        ({"falls_from": 0.9}, "falls_from is 0.9 and falls_until 0.7: the weight cannot end"),
    ],
)
def test_wrong_settings_get_one_line(
    taught: TrainingConfig, changed: dict[str, object], line: str, tmp_path: Path
):
    wrong = replace(taught, distillation=replace(taught.distillation, **changed))
    with pytest.raises(UsageError, match=line):
        train(wrong, RunOptions(tmp_path / "run"), [])


def test_a_teacher_of_another_scale_ends_the_run_before_it_begins(
    taught: TrainingConfig, tmp_path: Path
):
    wrong = replace(
        taught,
        distillation=replace(taught.distillation, teacher=str(box() / "adaformer_x4.safetensors")),
    )
    with pytest.raises(UsageError, match=r"is for x4, the network to train is x2; hint: "):
        train(wrong, RunOptions(tmp_path / "run"), [])


def test_half_a_batch_of_own_size_needs_two(taught: TrainingConfig, tmp_path: Path):
    with pytest.raises(UsageError, match=r"own_size is true with a batch of 1: .* set data.batch"):
        train(replace(taught, data=replace(taught.data, batch=1)), RunOptions(tmp_path / "r"), [])
