"""From `srcli train` to `srcli upscale`, and what is said of networks that cannot go that way."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from srcli.cli.train import train as command
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.atd import ATDConfig
from srcli.models.camixer_atd import CAMixerATDConfig
from srcli.training.config import TrainingConfig
from srcli.training.families import NetworkConfig
from srcli.training.loop import RunOptions, train
from srcli.training.runnable import why_not_runnable
from tests.cli.processes import srcli
from tests.training.conftest import Recorder

SMALL = "channels = 48, dim = 48, residual_blocks = 2, layers = 3, confidence_channels = 24"


def test_upscale_takes_what_train_wrote(config_toml: Path, images: Path, tmp_path: Path):
    text = config_toml.read_text()
    start, end = text.index("network = {"), text.index("data = {")
    text = f"{text[:start]}network = {{scale = 2, {SMALL}}}\n{text[end:]}"
    config_toml.write_text(text.replace('name = "tiny"', 'name = "mine_x2"'))
    out = tmp_path / "run"
    made = CliRunner().invoke(command, [str(config_toml), "--out", str(out), "--steps", "2"])
    assert made.exit_code == 0, made.output
    assert "[network]" not in made.stderr
    ended = srcli(
        "upscale", images / "0.png", "-m", "mine_x2", "-s", 2, "-o", tmp_path / "large.png",
        SRCLI_WEIGHTS_MANIFEST=str(out / "mine_x2.manifest.toml"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "large.png") as image:
        assert image.size == (168, 144)


def test_train_says_first_that_srcli_will_not_run_it(config: TrainingConfig, tmp_path: Path):
    class Order(Recorder):
        def on_step(self, report: object) -> None:
            assert self.strange_networks

    recorder = Order()
    train(config, RunOptions(tmp_path, steps=1), [recorder])
    (line,) = recorder.strange_networks
    assert "the nearest is adaformer-s: channels is 8, there 48, dim is 8, there 48, " in line
    resumed = Recorder()
    train(config, RunOptions(tmp_path, resume=True, steps=2), [resumed])
    assert not resumed.strange_networks


@pytest.mark.parametrize(
    ("network", "line"),
    [
        (AdaFormerConfig(scale=2, layers=5), "nearest is adaformer: layers is 5, there 6. Its"),
        (AdaFormerConfig(scale=5), "nearest is adaformer: scale is 5, there 2, 3, 4. Its"),
        (ATDConfig(scale=4, heads=2), "nearest is pp-atd-light: heads is 2, there 4. Its"),
        (
            CAMixerATDConfig(scale=4, ratio=0.25),
            "nearest is camixer-atd-light: ratio is 0.25, there 0.5. Its",
        ),
    ],
)
def test_names_what_differs_from_the_nearest_network(network: NetworkConfig, line: str):
    before = torch.get_rng_state()
    told = why_not_runnable(network)
    assert told is not None
    assert line in told
    assert torch.equal(torch.get_rng_state(), before)


def test_says_nothing_of_networks_that_srcli_runs():
    small = model_spec("adaformer-s").build(2)
    assert isinstance(small, AdaFormer)
    for network in (AdaFormerConfig(3, region=0), small.config, replace(small.config, region=2)):
        assert why_not_runnable(network) is None
    assert why_not_runnable(ATDConfig(scale=4)) is None
