"""The command line, as a process of its own."""

import os
import pty
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.inference.device import computes_int8
from tests.cli import processes
from tests.cli.processes import COMMAND, ENVIRONMENT, PATIENCE, start_signalled
from tests.forked_python import ForkedPython

srcli = partial(processes.srcli, timeout=240)

INT8 = {"int8": ("--precision", "int8", "-m", "adaformer")}
"""Options for CPUs that have it."""


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    root = tmp_path / "in"
    save(root / "a.png", photo)
    save(root / "sub" / "b.jpg", photo)
    return root


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def leftovers(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if "tmp" in p.name]


def test_a_folder(folder: Path) -> None:
    ended = srcli("upscale", folder)
    assert ended.returncode == 0, ended.stderr
    out = folder.parent / "in_x4"
    assert size(out / "a.png") == size(out / "sub" / "b.jpg") == (224, 160)
    assert ended.stdout.split()[:6] == ["done", "2", "skipped", "0", "failed", "0"]
    assert f"results   {out}" in ended.stdout
    assert "of the attention" in ended.stdout
    assert "[2/2]" in ended.stderr

    before = (out / "a.png").stat().st_mtime_ns
    again = srcli("upscale", folder)
    assert again.returncode == 0
    assert again.stdout.split()[:6] == ["done", "0", "skipped", "2", "failed", "0"]
    assert (out / "a.png").stat().st_mtime_ns == before
    assert srcli("upscale", folder, "--overwrite").returncode == 0
    assert (out / "a.png").stat().st_mtime_ns > before


def test_the_smaller_scale_is_said_once(folder: Path) -> None:
    ended = srcli("upscale", folder, "-s", 3, "--format", "webp")
    assert ended.returncode == 0, ended.stderr
    assert size(folder.parent / "in_x3" / "a.webp") == (168, 120)
    assert ended.stderr.count("has no x3 weights: upscaling x4 and reducing to x3") == 1


@pytest.mark.slow
def test_every_option_changes_something(folder: Path, samples: list[Path]) -> None:
    """No option is parsed and then forgotten."""
    source = save(folder / "busy.png", np.asarray(Image.open(samples[0]))[:40, :56])
    results: dict[str, Path] = {}
    said: dict[str, str] = {}
    for name, options in {
        "plain": ("--precision", "fp32"),
        "exact": ("--effort", "exact", "--precision", "fp32"),
        "fast": ("--effort", "fast", "--precision", "fp32"),
        "bf16": ("--precision", "bf16", "--device", "cpu", "-m", "adaformer"),
        **(INT8 if computes_int8(torch.device("cpu")) else {}),
        "eps": ("--halt-eps", 0.8, "--precision", "fp32"),
        "tile": ("--tile", 32, "--precision", "fp32"),
        "whole": ("--tile", 0, "--precision", "fp32"),
        "poor": ("--format", "jpg", "--quality", 10),
        "fine": ("--format", "jpg", "--quality", 100),
    }.items():
        ended = srcli("upscale", source, "-o", folder.parent / name, *options)
        assert ended.returncode == 0, ended.stderr
        said[name] = ended.stdout
        (results[name],) = (folder.parent / name).iterdir()
    pixels = {name: np.asarray(Image.open(path)).astype(int) for name, path in results.items()}
    assert np.array_equal(pixels["plain"], pixels["whole"])
    assert np.array_equal(pixels["fast"], pixels["eps"])
    assert np.abs(pixels["plain"] - pixels["tile"]).max() <= 1  # its tiles have no seam
    for other in ("fast", "bf16", *({"int8"} & pixels.keys())):
        assert np.abs(pixels["plain"] - pixels[other]).max() > 0, other
    assert "100% of the attention" in said["exact"]
    assert "100% of the attention" not in said["plain"]
    assert results["poor"].stat().st_size < results["fine"].stat().st_size / 3


def test_bad_files_fail_alone(folder: Path, photo: np.ndarray) -> None:
    whole = (folder / "a.png").read_bytes()
    bad = {
        "cut.png": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "text.tif": b"no image at all",
        "bomb.png": whole[:16] + (60000).to_bytes(4, "big") * 2 + whole[24:],
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    ended = srcli("upscale", folder)
    assert ended.returncode == 1
    assert ended.stdout.split()[:6] == ["done", "2", "skipped", "0", "failed", "4"]
    for name in bad:
        lines = [line for line in ended.stderr.splitlines() if name in line]
        assert len(lines) == 1, ended.stderr
        assert lines[0].startswith("srcli: ")
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    made = {p.name for p in (folder.parent / "in_x4").rglob("*") if p.is_file()}
    assert made == {"a.png", "b.jpg", "journal.sqlite", "lock"}


def test_a_jpeg_called_png_is_read_as_what_it_is(tmp_path: Path, photo: np.ndarray) -> None:
    save(tmp_path / "x.jpg", photo).rename(tmp_path / "x.png")
    assert srcli("upscale", tmp_path / "x.png").returncode == 0
    with Image.open(tmp_path / "x_x4.png") as image:
        assert image.format == "PNG"


def test_what_a_format_cannot_hold_is_said(tmp_path: Path, photo: np.ndarray) -> None:
    alpha = np.tile(np.arange(0, 56, dtype=np.uint8)[None, :, None], (40, 1, 1)) * 4
    save(tmp_path / "cut-out.png", np.concatenate([photo, alpha], -1))
    ended = srcli("upscale", tmp_path / "cut-out.png", "--format", "jpg")
    assert ended.returncode == 0
    assert "cut-out_x4.jpg: alpha flattened onto white" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["nowhere"], 2, "nowhere does not exist"),
        (["in", "-s", "9"], 2, "scale 9 is out of range"),
        (["in", "-m", "adaforner"], 2, "no weights for a model named 'adaforner'"),
        (["in", "-m", "swinir"], 2, "did you mean swinir-light, swinir-m"),
        (["in", "--device", "cuda:9"], 2, "device 'cuda:9' is not on this machine"),
        (["in", "--tile", "7"], 2, "tile 7 is too small"),
        (["in", "--tile", "big"], 2, "'big' is neither auto nor 0"),
        (["in", "--effort", "most"], 2, "'most' is not one of"),
        (["in", "-o", "in"], 2, "is an input"),
        (["in/a.png", "in/sub", "-o", "one.png"], 2, "one.png names one image"),
        ([], 2, "Missing argument"),
        (["empty"], 3, "no images in empty"),
        (["rotten"], 3, "rotten/x.png"),
    ],
)
def test_exit_codes(folder: Path, arguments: list[str], code: int, line: str) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "rotten").mkdir()
    (folder.parent / "rotten" / "x.png").write_bytes(b"\x89PNG")
    ended = srcli("upscale", *arguments, cwd=folder.parent)
    assert ended.returncode == code, ended.stderr
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(folder.parent.glob("*_x*"))


@pytest.fixture
def slow(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Four images of many tiles: seconds of work to be interrupted."""
    for name in "abcd":
        save(tmp_path / "slow" / f"{name}.png", rng.integers(0, 256, (160, 200, 3), np.uint8))
    return tmp_path / "slow"


def test_ctrl_c_keeps_what_is_whole(slow: Path) -> None:
    process = start_signalled(
        signal.SIGINT, 2, "upscale", slow, "--tile", "64", "-m", "adaformer-s"
    )
    out = slow.parent / "slow_x4"
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    made = sorted(out.glob("[!.]*"))
    assert len(made) == 2
    assert not leftovers(out)
    assert all(size(path) == (800, 640) for path in made)
    assert stdout.split()[1] == str(len(made))


def test_a_kill_leaves_no_half_image(slow: Path) -> None:
    process = start_signalled(
        signal.SIGKILL, 4, "upscale", slow, "--tile", "64", "-m", "adaformer-s"
    )
    out = slow.parent / "slow_x4"
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    made = list(out.glob("[!.]*"))
    assert made
    assert all(size(path) == (800, 640) for path in made)


def read_or_end(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side has closed
        return b""


def test_a_terminal_gets_bars(folder: Path) -> None:
    master, slave = pty.openpty()
    process = ForkedPython(
        [*COMMAND, "upscale", str(folder), "--tile", "32"],
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**ENVIRONMENT, "TERM": "xterm"},
    )
    os.close(slave)
    shown = b""
    while part := read_or_end(master):
        shown += part
    os.close(master)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert "upscaling" in text
    assert "files" in text
    assert re.search(r"a\.png .* \d+/100 %", text)
