"""`srcli train` as typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from srcli.cli.train import train
from srcli.errors import UsageError


def test_trains_and_prints_the_weights(config_toml: Path, tmp_path: Path):
    out = tmp_path / "run"
    ended = CliRunner().invoke(train, [str(config_toml), "--out", str(out), "--steps", "2"])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.strip() == str(out / "tiny.safetensors")
    assert "step 2  PSNR-Y  Mini" in ended.stderr
    assert (out / "log.jsonl").is_file()


def without_folders(config_toml: Path) -> Path:
    """The same configuration with neither training images nor validation sets."""
    text = re.sub(r'(folders|sets) = \[".*?"\]', r"\1 = []", config_toml.read_text())
    assert text.count("= []") == 2
    config_toml.write_text(text)
    return config_toml


@pytest.mark.parametrize("module", ["srcli train", "srcli.training"])
def test_data_and_sets_are_named_on_the_command_line(
    module: str, config_toml: Path, images: Path, benchmark_set: Path, tmp_path: Path
):
    words = [*module.split(), str(without_folders(config_toml)), "--steps", "1"]
    named = ["--data", str(images), "--sets", str(benchmark_set), "--out", str(tmp_path / "run")]
    ended = subprocess.run(
        [sys.executable, "-m", *words, *named], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "PSNR-Y  Mini" in ended.stderr


def test_run_without_images_names_the_option(config_toml: Path, tmp_path: Path):
    words = [str(without_folders(config_toml)), "--out", str(tmp_path / "run")]
    ended = CliRunner().invoke(train, words)
    assert isinstance(ended.exception, UsageError)
    assert "no training images" in str(ended.exception)
    assert str(ended.exception).endswith("hint: --data FOLDER")
    assert not (tmp_path / "run").exists()


def test_wrong_requests_end_before_any_step(config_toml: Path, tmp_path: Path):
    words = [str(config_toml), "--out", str(tmp_path), "--resume", "--init", "x"]
    ended = CliRunner().invoke(train, words)
    assert isinstance(ended.exception, UsageError)
    assert CliRunner().invoke(train, [str(config_toml), "--steps", "0"]).exit_code == 2


def test_help_needs_no_torch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    ended = CliRunner().invoke(train, ["--help"])
    assert ended.exit_code == 0
    assert "--resume" in ended.output
