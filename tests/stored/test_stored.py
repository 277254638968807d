"""Files that version f8df6d1 left on disk are resumed, and its JSON keeps its keys.

`make.py` beside this file made it, with the weights that lie in tests/training/ today.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from srcli.cli.train import train
from srcli.inference.report import Report
from srcli.jobs.journal_schema import RunRecord
from srcli.jobs.verify import Verification
from tests.conftest import ROOT
from tests.stored.make import MODEL, QUICK

STORED = Path(__file__).parent
WEIGHTS = ROOT / "tests" / "training" / "adaformer-s_x2.safetensors"
ENTRY = """
[[weights]]
name = "adaformer-s_x2"
model = "adaformer-s"
scale = 2
file = "{file}"
size = {size}
sha256 = "{sha256}"
licence = "CC-BY-4.0"
training_data = "CID22"
origin = "srcli train"
psnr_protocol = "Y channel"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A copy of the files, with times of their own as a checkout has; the clip with its own."""
    copy = tmp_path / "stored"
    shutil.copytree(STORED, copy)
    os.utime(copy / "clip" / "in.mp4", ns=(10**18, 10**18))
    return copy


@pytest.fixture
def srcli(stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, in a folder, with the weights of then: code, stdout, stderr."""
    shutil.copy(WEIGHTS, stored)
    content = WEIGHTS.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    manifest = stored / "then.toml"
    manifest.write_text(ENTRY.format(file=WEIGHTS.name, size=len(content), sha256=digest))
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(manifest))
    monkeypatch.setenv("SRCLI_DATA", str(stored / "json"))
    # Types are checked here, and these are imported only for type checkers.
    monkeypatch.setattr("srcli.jobs.job.Report", Report, raising=False)
    monkeypatch.setattr("srcli.cli.status.Verification", Verification, raising=False)
    monkeypatch.setattr("srcli.cli.status.RunRecord", RunRecord, raising=False)

    def run(folder: str, *words: object) -> tuple[int, str, str]:
        monkeypatch.chdir(stored / folder)
        monkeypatch.setattr(sys, "argv", ["srcli", *map(str, words)])
        code = int(import_module("srcli.cli.main")._exit_code())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def events(text: str, kind: str) -> list[dict[str, object]]:
    every = [json.loads(line) for line in text.splitlines()]
    return [event for event in every if event["event"] == kind]


def instants(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def test_journal_of_a_killed_run_is_gone_on_with(stored: Path, srcli: Run):
    out = stored / "journal" / "out"
    before = instants(out.glob("*.png"))
    assert before.keys() == {"a.png", "b.png"}
    words = ("upscale", "in", "-o", "out", *MODEL, *QUICK, "--no-disk-check", "--json")
    code, said, _ = srcli("journal", *words)
    assert code == 1
    skipped = {event["input"]: event["reason"] for event in events(said, "skipped")}
    assert skipped == dict.fromkeys(("in/a.png", "in/b.png"), "done before, with the same settings")
    assert [event["input"] for event in events(said, "failed")] == ["in/c.png"]
    assert [event["input"] for event in events(said, "done")] == [
        f"in/{name}.png" for name in "def"
    ]
    assert before.items() <= instants(out.glob("*.png")).items()
    code, said, _ = srcli("journal", "verify", "out", "--json")
    assert [one["condition"] for one in json.loads(said)["outputs"]].count("sound") == 5


def test_segments_of_a_killed_clip_are_gone_on_with(stored: Path, srcli: Run):
    code, said, error = srcli(
        "clip", "upscale", "in.mp4", *MODEL, *QUICK, "-o", "out.mp4", "--json"
    )
    assert code == 0, error
    assert [event["done"] for event in events(said, "frame")] == list(range(120, 133))
    assert (stored / "clip" / "out.mp4").is_file()
    assert not (stored / "clip" / ".out.mp4.srcli-parts").exists()


def test_frames_of_a_killed_clip_are_gone_on_with(stored: Path, srcli: Run):
    frames = stored / "clip" / "frames"
    before = instants(frames.glob("*.png"))
    words = (*MODEL, *QUICK, "--duration", "0.4", "--frames-dir", "frames")
    code, _, error = srcli("clip", "upscale", "in.mp4", *words)
    assert code == 0, error
    now = instants(frames.glob("*.png"))
    assert len(now) == 10 > len(before) > 0
    assert before.items() <= now.items()


def test_training_checkpoint_is_resumed(stored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(stored / "training")
    ended = CliRunner().invoke(train, ["tiny.toml", "--out", "run", "--resume", "--steps", "6"])
    assert ended.exit_code == 0, ended.output
    log = (stored / "training" / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log if '"restoration"' in line] == [*range(1, 7)]


def test_benchmark_of_then_is_compared_with(stored: Path, srcli: Run):
    words = ("-d", "Set5", "-s", "2", "-m", "bicubic,adaformer-s", "--repeats", "1")
    code, _, error = srcli("json", "bench", *words, "--json", "now.json")
    assert code == 0, error
    then = json.loads((stored / "json" / "bench.json").read_text())
    assert_same_keys(then, json.loads((stored / "json" / "now.json").read_text()))
    code, said, error = srcli("json", "bench", "--compare", "bench.json", "now.json")
    assert code in (0, 1), error
    assert "adaformer-s" in said


def test_summary_of_masks_keeps_its_keys(stored: Path, srcli: Run):
    masks = stored / "json" / "one_masks"
    code, _, error = srcli("json", "visualize-mask", "one.png", "-m", "adaformer-s", "-s", 2)
    assert code == 0, error
    then = json.loads((stored / "json" / "summary.json").read_text())
    assert_same_keys(then, json.loads((masks / "summary.json").read_text()))


def test_json_of_commands_keeps_its_keys(stored: Path, srcli: Run):
    batch = ("upscale", "Set5/x2/LR", "-o", "out", *MODEL, *QUICK, "--json")
    for name, words in {
        "dry_run.jsonl": (*batch, "--dry-run"),
        "upscale.jsonl": batch,
        "again.jsonl": batch,
        "status.json": ("status", "out", "--json"),
        "verify.json": ("verify", "out", "--json"),
        "weights.json": ("weights", "list", "--json"),
        "weights_show.json": ("weights", "show", "adaformer_x4", "--json"),
    }.items():
        code, said, error = srcli("json", *words)
        assert code == 0, error
        then = (stored / "json" / name).read_text()
        if name.endswith(".json"):
            assert_same_keys(without_figures(then), without_figures(said), name)
            continue
        for kind in {json.loads(line)["event"] for line in then.splitlines()}:
            assert_same_keys(events(then, kind), events(said, kind), f"{name}: {kind}")


def without_figures(text: str) -> object:
    """JSON without the tables whose keys are names of benchmark sets."""
    return json.loads(
        text,
        object_hook=lambda table: {
            key: value for key, value in table.items() if not key.startswith("psnr_")
        },
    )


def assert_same_keys(then: object, now: object, where: str = "") -> None:
    """Every key of then is there now, with a value of the same kind; others may have come."""
    if isinstance(then, dict):
        assert isinstance(now, dict), where
        assert then.keys() <= now.keys(), f"{where}: {then.keys() - now.keys()} missing"
        for key, value in then.items():
            assert_same_keys(value, now[key], f"{where}.{key}")
    elif isinstance(then, list):
        assert isinstance(now, list), where
        for before, after in zip(then, now, strict=False):
            assert_same_keys(before, after, f"{where}[]")
    elif None not in (then, now):
        numbers = (int, float)
        alike = isinstance(then, numbers) and isinstance(now, numbers)
        assert alike or type(then) is type(now), f"{where}: {then!r}, now {now!r}"
