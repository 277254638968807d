"""`srcli train` as typed."""

import re
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


def test_folders_are_named_on_the_command_line(config_toml: Path, tmp_path: Path):
    text = config_toml.read_text()
    (folder,) = re.findall(r'folders = \["(.*?)"\]', text)
    bare = tmp_path / "bare.toml"
    bare.write_text(re.sub(r"folders = \[.*?\],? ?", "", text))
    out = str(tmp_path / "run")
    ended = CliRunner().invoke(train, [str(bare), "--out", out, "--steps", "1"])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception).startswith("no training images; hint: --data FOLDER")
    ended = CliRunner().invoke(train, [str(bare), "--out", out, "--steps", "1", "--data", folder])
    assert ended.exit_code == 0, ended.output
    again = [str(config_toml), "--out", f"{out}2", "--data", str(tmp_path / "none"), "--steps", "1"]
    assert "none" in str(CliRunner().invoke(train, again).exception)
    sets = [str(config_toml), "--out", f"{out}3", "--sets", str(tmp_path / "no"), "--steps", "1"]
    assert "no" in str(CliRunner().invoke(train, sets).exception)
