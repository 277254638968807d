"""Answers to what newcomers type and look at: help, plans, lines of a run, errors with a remedy."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.processes import ENVIRONMENT, srcli
from tests.video.conftest import Recipe, make_clip

QUICK = ("-m", "adaformer-s", "-s", 2, "--effort", "fast", "--precision", "fp32")


@pytest.fixture
def place(tmp_path: Path, photo: np.ndarray) -> Path:
    """A folder with one small image, `a.png`."""
    Image.fromarray(photo[:18, :24]).save(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("words", [(), ("weights",), ("datasets",), ("config",)])
def test_a_group_alone_shows_its_help(words: tuple[str, ...]) -> None:
    ended = srcli(*words)
    assert ended.returncode == 2
    assert ended.stderr == srcli("help", *words).stdout


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("completion",), "Choose from: bash, zsh, fish"),
        (("upscale", "a.png", "-s", "3y"), "'3y' is not a number; hint: -s 3"),
        (("upscale", "a.png", "-s", "1"), "hint: -s 4, or a smaller size by --width"),
        (("upscale", "a.png", "--size", "3840x2160"), "hint: --fit 3840x2160, --width PX or"),
        (("mask", "a.png"), "'mask' is not a command; hint: srcli visualize-mask PHOTO.jpg"),
        (("compare", "a.png"), "hint: srcli upscale PHOTO.jpg --compare"),
        (("resize", "a.png"), "hint: srcli upscale PHOTO.jpg"),
        (("train", "nothere.toml"), "srcli: nothere.toml does not exist; hint: check the name"),
        (("weights", "download"), "give names of weights, or --all; available: "),
        (("bench", "nothere"), "nothere does not exist; hint: check the name"),
        (("visualize-mask", "a.png", "--layers", "9"), "there is no layer 9: the network has"),
    ],
)  # fmt: skip
def test_one_line_with_the_remedy(typed: tuple[str, ...], line: str, place: Path) -> None:
    ended = srcli(*typed, cwd=place)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert ended.stderr.count("\n") <= 2
    assert [path.name for path in place.iterdir()] == ["a.png"]


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["3x", "x3", "X3", "3\u00d7"])
def test_a_scale_may_be_typed_as_it_is_written(typed: str, place: Path) -> None:
    plan = srcli("upscale", "a.png", *QUICK, "-s", typed, "--dry-run", cwd=place)
    assert "72x54" in plan.stdout
    assert srcli("bench", ".", "-s", typed, "-m", "bicubic", cwd=place).returncode == 0


def test_files_that_are_no_images_say_so_with_a_remedy(place: Path) -> None:
    (place / "text.jpg").write_text("hi\n")
    make_clip(place / "clip.mp4", Recipe(frames=2, size=(32, 32)))
    text = srcli("upscale", "text.jpg", cwd=place).stderr
    assert "text.jpg: not a supported image (" in text
    assert "; hint: convert it with another program" in text
    clip = srcli("visualize-mask", "clip.mp4", cwd=place).stderr
    assert "clip.mp4: a video, not an image; hint: srcli upscale takes videos" in clip
    for said in (text, clip):
        assert "b'" not in said


def test_an_empty_list_says_that_it_is_empty(place: Path) -> None:
    ended = srcli("upscale", "--files-from", "-", text="", cwd=place)
    assert ended.returncode == 3
    assert "the list on stdin is empty; hint: one name a line" in ended.stderr


def test_a_line_for_each_image_has_the_shares_by_layer_only_when_asked(place: Path) -> None:
    first = srcli("upscale", "a.png", *QUICK, cwd=place)
    assert "[1/1] a.png -> a_x2.png  0.0017 Mpx in" in first.stderr
    assert "by layer" not in first.stderr + first.stdout
    again = srcli("upscale", "a.png", *QUICK, "--overwrite", "-v", cwd=place)
    assert re.search(r"Mpx in [\d.]+ s, computed .* % by layer", again.stderr)


def test_clips_are_counted_in_frames(place: Path) -> None:
    make_clip(place / "clip.mkv", Recipe(frames=3, size=(32, 24)))
    ended = srcli("upscale", "clip.mkv", *QUICK, cwd=place)
    assert "clip.mkv -> clip_x2.mkv  3 frames of 64x48 in" in ended.stderr
    assert re.search(r"^output +3 frames of 64x48$", ended.stdout, re.MULTILINE)


def test_the_plan_has_reasons_and_breaks_no_name(place: Path) -> None:
    long = place / ("a long name of a photograph " * 3 + ".png")
    (place / "a.png").rename(long)
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    narrow = {"COLUMNS": "60"}
    plan = srcli("upscale", long.name, "broken.png", *QUICK, "--dry-run", cwd=place, **narrow)
    assert f"{long.stem}_x2.png" in plan.stdout
    assert plan.stdout.count("broken.png") == 1
    assert "broken.png will fail: " in plan.stdout
    srcli("upscale", long.name, *QUICK, cwd=place)
    skipped = srcli("upscale", long.name, *QUICK, "--dry-run", cwd=place, **narrow)
    assert "1 skipped: done before, with the same settings" in skipped.stdout


def test_a_failure_is_said_once(place: Path) -> None:
    ended = srcli("upscale", "a.png", "--fit", "3840x2160", cwd=place)
    assert ended.returncode == 3
    assert (ended.stdout + ended.stderr).count("needs x") == 1


def test_bench_says_which_images_it_does_not_measure(place: Path) -> None:
    (place / "1998").mkdir()
    Image.open(place / "a.png").save(place / "1998" / "b.png")
    ended = srcli("bench", ".", "-m", "bicubic", cwd=place)
    assert ".: an image in a subfolder is not measured; hint: name each folder" in ended.stderr


def test_a_report_stays_when_the_same_masks_are_asked_for_without_one(place: Path) -> None:
    draw = ("visualize-mask", "a.png", "-m", "adaformer-s", "--what", "depth")
    assert srcli(*draw, "--html", cwd=place).returncode == 0
    again = srcli(*draw, cwd=place)
    assert "its masks exist, made with the same settings" in again.stdout
    assert (place / "a_masks" / "report.html").is_file()
    wrong = srcli(*draw, "--layers", "9", cwd=place)
    assert wrong.returncode == 2
    assert "made again" not in wrong.stderr
    other = srcli(*draw, "--layers", "1", cwd=place)
    assert "made with other settings (html on, now off; layers all, now 1)" in other.stderr


def test_settings_files_are_named_only_for_values_that_an_error_quotes(place: Path) -> None:
    (place / "srcli.toml").write_text('[upscale]\neffort = "fast"\n')
    ended = srcli("upscale", "a.png", "--preset", "bogus", "-o", "a.mp4", cwd=place)
    assert ended.returncode == 2
    assert "effort is fast" not in ended.stderr


def test_config_shows_no_empty_values(place: Path) -> None:
    lines = srcli("config", "show", cwd=place).stdout.splitlines()
    assert not [line for line in lines if "null" in line or "= false" in line]
    assert len(lines) < 30
    assert lines[-1].startswith("# not set: ")
    assert "width" in lines[-1]


def test_a_browser_that_is_missing_is_one_line(place: Path) -> None:
    (place / "bin").mkdir()
    fake = place / "bin" / "xdg-open"
    fake.write_text("#!/bin/sh\necho no browser >&2\nexit 3\n")
    fake.chmod(0o755)
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    ended = srcli("upscale", "a.png", *QUICK, "--open", cwd=place, PATH=path)
    assert "a_x2_compare.html: no program here opens it; hint: open it in a" in ended.stderr
    assert "no browser" not in ended.stderr


def test_data_sets_that_are_not_there_are_named(tmp_path: Path) -> None:
    ended = srcli("datasets", "verify", "--data-root", tmp_path, XDG_DATA_HOME=str(tmp_path))
    assert "has a list of hashes; hint: srcli datasets download Set5" in ended.stderr


@pytest.mark.slow
def test_a_sign_of_life_comes_before_the_modules_are_loaded(place: Path) -> None:
    """On a terminal, in a process that imports everything anew."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "srcli", "upscale", "a.png", "--dry-run"]
    process = subprocess.Popen(
        command, cwd=place, env=ENVIRONMENT, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while b"a_x4.png" not in shown:
        shown += os.read(master, 1000)
    process.wait()
    os.close(master)
    assert shown.startswith(b"loading PyTorch ...\r\x1b[K")
