"""Configurations: the shipped ones read, the wrong ones get one clear line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import srcli.training
from srcli.errors import UsageError
from srcli.training.config import ScheduleConfig
from srcli.training.config_file import read_config
from srcli.training.schedule import progress, rates
from srcli.training.state import TrainingState

SHIPPED = sorted((Path(srcli.training.__file__).parent / "configs").glob("*.toml"))
ABLATIONS = sorted((SHIPPED[0].parent / "ablation").glob("*.toml"))
ROOT = Path(__file__).parents[2]
WHOLE = """
weights = {name = "w", licence = "CC0-1.0", training_data = "none"}
network = {scale = 4}
data = {folders = ["hr"]}
schedule = {steps = 10}
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_configurations_read(path: Path):
    config = read_config(path)
    assert config.weights.name == path.stem.partition("_accelerator")[0]  # the same weights there
    assert not any("benchmark" in folder for folder in config.data.folders)


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_ablations_differ_in_the_network_and_the_loss_alone(path: Path):
    """And start from the whole network's weights, of which some lack a part."""
    config, whole = read_config(path), read_config(path.with_name("both-masks.toml"))
    assert config.weights.name == f"ablation-{path.stem}"
    same = replace(config, weights=whole.weights, network=whole.network, loss=whole.loss)
    assert same == whole
    assert path.stem == "both-masks" or (config.network, config.loss) != (whole.network, whole.loss)
    state = TrainingState(config, torch.device("cpu"))
    assert state.start_from(ROOT / "weights" / "adaformer-s_x4.safetensors") == []


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("scale = 4", "scale = 4, size = 3", "network.size is unknown"),
        ("scale = 4", 'scale = 4, family = "cnn"', "network.family is 'cnn': have adaformer, atd"),
        (
            "scale = 4",
            'scale = 4, family = "atd-light", channels = 3',
            "network.channels is",
        ),
        (
            "scale = 4",
            'scale = 4, family = "camixer-atd-light", ratio = 1.5',
            "network.ratio is 1.5: it must be above 0",
        ),
        (
            "scale = 4",
            'scale = 4, family = "camixer-atd-light", simple = 4',
            "network.simple is 4: it must be odd",
        ),
        ("scale = 4", 'scale = "4"', "network.scale is '4': it must be of type int"),
        ("scale = 4", 'scale = 4, masks = "global"', "masks is 'global': have both, local, none"),
        ("scale = 4", "scale = 4, prototypes = -1", "network.prototypes is -1: it must be at"),
        (
            "steps = 10}",
            'steps = 10}\nloss = {exits = "ape"}',
            "loss.exits is 'ape': have uncertainty, increment, ponder",
        ),
        ("{scale = 4}", "4", r"network must be a section, \[network\]"),
        ("{scale = 4}", "{}", "network.scale is missing"),
        ('["hr"]', '"hr"', "data.folders is 'hr': it must be a list"),
        ('["hr"]', '["hr"], patch = 50', "data.patch is 50: it must be a multiple of the window"),
        ('["hr"]', '["hr"], batch = 0', "data.batch is 0"),
        ('["hr"]', '["hr"], reductions = [2]', "data.reductions are"),
        ("steps = 10}", "steps = 10}\ndegradation = {share = 2}", "degradation.share is 2"),
        (
            "steps = 10}",
            "steps = 10}\ndegradation = {jpeg = 0.8, webp = 0.2, h264 = 0.1}",
            "degradation.jpeg, webp and h264 are 1.1 together",
        ),
        (
            "steps = 10}",
            "steps = 10}\ndegradation = {jpeg_quality = [90, 20]}",
            r"degradation.jpeg_quality is \[90.0, 20.0\]: it must be \[least, greatest\] in 1..100",
        ),
        (
            'folders = ["hr"]}',
            'folders = ["hr"], images = "device"}\ndegradation = {share = 0.5}\n'
            'distillation = {teacher = "adaformer", own_size = true}',
            "data.images is 'device', with degradations and distillation.own_size",
        ),
        ("steps = 10", "", "schedule has no end"),
        ("steps = 10", 'steps = 10, shape = "flat"', "schedule.shape is 'flat': have cosine"),
        ("steps = 10", "steps = 10, warmup = 0.9", "they must rise from 0 to 1"),
        ("schedule =", "loss = {eps = 2}\nschedule =", "loss.eps is 2.0: it must lie in 0..1"),
        ("schedule =", 'run = {precision = "int8"}\nschedule =', "run.precision is 'int8'"),
        ("steps = 10", "minutes = nan", "schedule.minutes is nan: it must be at least 0"),
        ("steps = 10", "steps = 10, lr = inf", "schedule.lr is inf: it must be above 0"),
        ("steps = 10", "steps = 10, lr = 0", "schedule.lr is 0.0: it must be above 0"),
        ("steps = 10", "steps = -1", "schedule.steps is -1: it must be at least 0"),
        ("schedule =", "run = {seed = -1}\nschedule =", "run.seed is -1: it must lie in 0"),
        ("schedule =", "run = {threads = -1}\nschedule =", "run.threads is -1"),
        ("schedule =", "loss = {clip = -1.0}\nschedule =", "loss.clip is -1.0"),
        ("scale = 4", "scale = 4, heads = 0", "network.heads is 0: it must be at least 1"),
        ("scale = 4", "scale = 4, heads = 3", "network.dim is 64: it must be a multiple of heads"),
        ("scale = 4", "scale = 4, window = 0", "network.window is 0"),
        ("scale = 4", "scale = 4, region = -1", "network.region is -1: it must be at least 0"),
        ('name = "w"', 'name = "a/b"', "weights.name is 'a/b': it must be up to 60 letters"),
        ('name = "w"', 'name = "../../zz"', "weights.name is"),
        ('name = "w"', 'name = ""', "weights.name is ''"),
        ('name = "w"', 'name = "checkpoint"', "weights.name is 'checkpoint': the run's"),
        ("scale = 4", 'scale = 4, family = ["adaformer"]', r"network.family is \['adaformer'\]"),
        ("steps = 10", f"steps = {'9' * 400}", "schedule.steps has 400 digits"),
        ("steps = 10", f"steps = 10, lr = {'9' * 400}", "schedule.lr has 400 digits"),
        ("schedule =", "extra = {}\nschedule =", "unknown section extra"),
        ("schedule =", "schedule", "Expected '='"),
    ],
)
def test_wrong_configurations_get_one_line(tmp_path: Path, before: str, after: str, line: str):
    path = tmp_path / "wrong.toml"
    path.write_text(WHOLE.replace(before, after))
    with pytest.raises(UsageError, match=line) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")


def test_whichever_budget_ends_first():
    both = ScheduleConfig(steps=100, minutes=10)
    assert progress(both, 50, 1.0) == 0.5
    assert progress(both, 10, 9.0) == 0.9
    assert progress(replace(both, steps=0), 10**6, 20.0) == 1.0


@pytest.mark.parametrize("shape", ["cosine", "halving"])
def test_rates_rise_fall_and_end(shape: str):
    schedule = ScheduleConfig(steps=1, lr=1.0, shape=shape, halvings=3, warmup=0.1,
                              halting_from=0.8, halting_lr=0.1)  # fmt: skip
    way = [rates(schedule, i / 100) for i in range(101)]
    backbone = [r.backbone for r in way]
    assert backbone[0] == 0.0
    assert max(backbone) == backbone[10] == 1.0
    assert backbone[10:] == sorted(backbone[10:], reverse=True)
    assert backbone[100] == 0.0
    assert [r.halting for r in way] == [i >= 80 for i in range(101)]
    assert {r.estimator for r in way} == {1e-3}
    if shape == "halving":
        assert set(backbone[10:80]) == {1.0, 0.5, 0.25, 0.125}
