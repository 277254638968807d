"""The commands of docs/accelerator.md run on the CPU, without what a lent machine lacks."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.data.resize import downscale, resize
from srcli.weights.manifest_file import box

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "accelerator.md").read_text("utf-8")
LACKING = ("av", "certifi", "click", "httpx", "imageio", "platformdirs", "rich")


def command(module: str) -> str:
    """The one command of the page that runs a module."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    (found,) = [line for line in lines if f"python -m {module} " in line]
    return found


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    """A folder as the machine sees it: few small images, batches of two, a teacher that is here."""
    (tmp_path / "srcli").symlink_to(ROOT / "srcli")
    (tmp_path / "weights").symlink_to(box())
    rng = np.random.default_rng(0)
    for name in ("cid22", "clic2025", "cq100"):
        folder = tmp_path / "here" / "data" / "train" / name
        folder.mkdir(parents=True)
        image = resize(rng.integers(0, 256, (25, 25, 3), dtype=np.uint8), 200, 200)
        Image.fromarray(image).save(folder / f"{name}.png")
    for name in ("Set5", "Set14"):
        hr = resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), 64, 64)
        for part, image in (("HR", hr), ("LR", downscale(hr, 4))):
            folder = tmp_path / "here" / "data" / "benchmark" / name / "x4" / part
            folder.mkdir(parents=True)
            Image.fromarray(image).save(folder / "one.png")
    shutil.copytree(tmp_path / "here" / "data" / "benchmark", tmp_path / ".accelerator")
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    for name in LACKING:
        (lacking / f"{name}.py").write_text("raise ImportError('not on this machine')\n")
    return tmp_path


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "lacking"), str(ROOT)])
    environment = {
        **os.environ, "PYTHONPATH": path, "OUT": str(folder / "out"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    line = re.sub(r"\bpython\b", sys.executable, line)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def smaller(line: str, folder: Path) -> str:
    """A command with the configuration's batch made small, and its teacher one that is here."""
    (configuration,) = re.findall(r"srcli/training/configs/\S+\.toml", line)
    text = (ROOT / configuration).read_text("utf-8")
    for before, after in (
        ("batch = 64", "batch = 1"),
        ("patch = 48", "patch = 16"),
        ("log_every = 50", "log_every = 10"),
        ('".accelerator/teacher.pth"', '"weights/adaformer-s_x4.safetensors"'),
    ):
        assert before in text
        text = text.replace(before, after)
    (folder / "small.toml").write_text(text)
    return line.replace(configuration, "small.toml")


@pytest.mark.slow
def test_the_pages_commands_pack_check_and_train(lent: Path):
    packing = command("srcli.training.pack").replace("DATA", "here/data/train")
    packed = run(packing, lent)
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout.startswith("3 images")
    (lent / "out").mkdir()
    checking = smaller(command("srcli.training.check_device"), lent)
    checked = run(checking.replace(" --init", " --steps 2 --init"), lent)
    assert checked.returncode == 0, checked.stderr
    assert "steps of 1 patches:" in checked.stdout
    assert re.search(r"aten::\w*conv\w*_backward", checked.stdout)  # small images: slow_conv2d
    assert "exact float32: largest error 0.0e+00" in checked.stdout
    assert len(re.findall(r"\| as written \| [\d.]+ s \| [\d.]+ \| [\d.]+ \|", checked.stdout)) == 1
    trained = run(f"{smaller(command('srcli.training'), lent)} --steps 30", lent)
    assert trained.returncode == 0, trained.stderr
    out = lent / "out" / "run"
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log if entry["event"] == "steps"] == [10, 20, 30]
    assert log[-1]["exact"].keys() == {"Set5", "Set14"}
    entry = (out / "adaformer_x4.manifest.toml").read_text()
    assert 'model = "adaformer"' in entry
    assert "adaformer-s_x4.safetensors" in entry  # the teacher
    files = [path for path in out.iterdir() if path.is_file()]
    assert len(files) <= 8
    assert max(path.stat().st_size for path in files) < 15 << 20


def test_the_one_call_fits_what_the_tool_takes():
    (call,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    assert len(call) <= 2000
    assert "\n" not in call


def test_the_second_configuration_is_the_first_with_other_rates_and_seed():
    folder = ROOT / "srcli" / "training" / "configs"
    first, second = (
        [
            line
            for line in (folder / f"adaformer_x4_accelerator{end}.toml").read_text().splitlines()
            if not line.startswith("#")
        ]
        for end in ("", "_again")
    )
    others = {one.split(" =")[0] for one, other in zip(first, second, strict=True) if one != other}
    assert others == {"lr", "muon_lr", "warmup", "halting_lr", "seed"}
