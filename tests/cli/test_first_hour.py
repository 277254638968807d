"""First commands of people who do not know srcli, and the answers when nothing seems to happen."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from srcli.cli.main import main
from tests.cli.processes import srcli

QUICK = ("-m", "adaformer-s", "-s", 2, "--effort", "fast", "--precision", "fp32")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["photo.jpg", "-s", "2"], "not a command; hint: srcli upscale photo.jpg -s 2"),
        (["."], "'.' is not a command; hint: srcli upscale ."),
        (["models"], "'models' is not a command; hint: srcli weights list"),
        (["upscal", "a.png"], "'upscal' is not a command; hint: srcli upscale"),
        (["upscale", "a.png", "--gpu"], "hint: --device cuda"),
        (["upscale", "a.png", "--outscale", "2"], "hint: -s FACTOR"),
        (["upscale", "a.png", "--recursive"], "hint: no option is needed"),
        (["upscale", "a.png", "--quality", "0"], "Invalid value for '--quality': 0"),
        (["upscale", "a.png", "-s", "8"], "hint: upscale twice: first -s 4, then its result"),
        (["upscale", "a.png", "-m", "swinir"], "hint: did you mean swinir-light, swinir-m?"),
        (["weights", "download"], "smfanet-plus_x4"),
    ],
)  # fmt: skip
def test_a_mistyped_command_names_the_right_one(
    typed: list[str], line: str, tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    ended = srcli(*typed, cwd=tmp_path)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert ended.stderr.count("\n") <= 2
    assert "Traceback" not in ended.stderr


def test_help_and_version_by_their_short_names() -> None:
    runner = CliRunner()
    assert runner.invoke(main, ["help"]).output == runner.invoke(main, ["--help"]).output
    assert "Most used:" in runner.invoke(main, ["help", "upscale"]).output
    assert re.match(r".*\d+\.\d+", runner.invoke(main, ["-V"]).output)


def test_the_help_of_upscale_lists_every_option_once_under_headings() -> None:
    lines = CliRunner().invoke(main, ["upscale", "--help"]).output.splitlines()
    headings = [line[:-1] for line in lines if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert headings == [
        "Most used", "Input and output", "Size", "Model and speed", "Results that exist", "Video",
        "Limits", "Several machines", "Messages",
    ]  # fmt: skip
    shown = [name for line in lines for name in re.findall(r"^  (?:-\w, )?(--[\w-]+)", line)]
    options = [p for p in main.commands["upscale"].params if p.param_type_name == "option"]
    longest = {max(option.opts, key=len) for option in options}
    assert sorted(shown) == sorted(longest | {"--help"})
    first = lines[lines.index("Most used:") + 1 : lines.index("Input and output:")]
    assert sum(line.startswith("  -") for line in first) == 10
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_other_settings_make_a_single_result_again(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    result = tmp_path / "a_x2.png"
    assert srcli("upscale", "a.png", *QUICK, cwd=tmp_path).returncode == 0
    first = result.read_bytes()
    same = srcli("upscale", "a.png", *QUICK, cwd=tmp_path)
    assert (same.returncode, result.read_bytes()) == (0, first)
    assert "a.png: skipped, done before, with the same settings" in same.stderr
    assert "1: done before, with the same settings" in same.stdout

    failed = srcli("upscale", "a.png", *QUICK, "--tile", 0, "--on-mismatch", "fail", cwd=tmp_path)
    assert failed.returncode == 2
    assert "made with other settings (tile auto, now 0)" in failed.stderr
    kept = srcli("upscale", "a.png", *QUICK, "--tile", 0, "--on-mismatch", "keep", cwd=tmp_path)
    assert "hint: --on-mismatch redo makes it again" in kept.stderr
    other = srcli("upscale", "a.png", "-m", "adaformer", *QUICK[2:], cwd=tmp_path)
    assert re.findall(r"^done +(\d)", other.stdout, re.MULTILINE) == ["1"]
    assert result.read_bytes() != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a_x2.png"]

    Image.fromarray(photo[::-1]).save(tmp_path / "a.png")
    changed = srcli("upscale", "a.png", "-m", "adaformer", *QUICK[2:], cwd=tmp_path)
    assert re.findall(r"^done +(\d)", changed.stdout, re.MULTILINE) == ["1"]
    result.write_bytes(first)  # somebody else's now
    altered = srcli("upscale", "a.png", "-m", "adaformer", *QUICK[2:], cwd=tmp_path)
    assert "skipped, the output was altered since it was made" in altered.stderr
    assert result.read_bytes() == first


def test_a_result_that_nobody_knows_is_kept_with_its_reason(
    tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "a_x2.png").write_bytes(b"mine")
    ended = srcli("upscale", "a.png", *QUICK, cwd=tmp_path)
    assert ended.returncode == 0
    assert "a.png: skipped, the output exists; hint: --overwrite replaces it" in ended.stderr
    assert (tmp_path / "a_x2.png").read_bytes() == b"mine"


def test_records_that_are_damaged_or_cannot_be_kept_do_no_harm(
    tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "file").touch()  # no folder can be made below a file
    nowhere = {"XDG_DATA_HOME": str(tmp_path / "file")}
    assert srcli("upscale", "a.png", *QUICK, cwd=tmp_path, **nowhere).returncode == 0
    again = srcli("upscale", "a.png", *QUICK, cwd=tmp_path, **nowhere)
    assert "skipped, the output exists" in again.stderr
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert srcli("upscale", "a.png", *QUICK, "--overwrite", cwd=tmp_path, **data).returncode == 0
    (record,) = (tmp_path / "data" / "srcli" / "results").iterdir()
    for damage in (b"", b"[]", b'{"origin": [1], "output": 2}', b"\xff" * 9):
        record.write_bytes(damage)
        ended = srcli("upscale", "a.png", *QUICK, cwd=tmp_path, **data)
        assert (ended.returncode, "skipped, the output exists" in ended.stderr) == (0, True)


def test_other_settings_make_a_clip_again(tmp_path: Path, photo: np.ndarray) -> None:
    frames = [Image.fromarray(np.roll(photo[:16, :24], n, 1)) for n in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    to_clip = ("upscale", "a.gif", "-o", "a.mp4", *QUICK)
    assert srcli(*to_clip, cwd=tmp_path).returncode == 0
    first = (tmp_path / "a.mp4").read_bytes()
    same = srcli(*to_clip, cwd=tmp_path)
    assert "skipped, done before, with the same settings" in same.stderr
    other = srcli(*to_clip, "--crf", 40, cwd=tmp_path)
    assert re.findall(r"^done +(\d)", other.stdout, re.MULTILINE) == ["1"], other.stderr
    assert (tmp_path / "a.mp4").read_bytes() != first
    kept = srcli(*to_clip, "--on-mismatch", "keep", cwd=tmp_path)
    assert "made with other settings (crf 40.0, now default)" in kept.stderr


@pytest.mark.slow
def test_a_report_is_added_to_masks_that_exist(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo[:16, :24]).save(tmp_path / "a.png")
    draw = ("visualize-mask", "a.png", "-m", "adaformer-s", "--what", "depth")
    assert srcli(*draw, cwd=tmp_path).returncode == 0
    same = srcli(*draw, cwd=tmp_path)
    assert "its masks exist, made with the same settings" in same.stdout
    with_report = srcli(*draw, "--html", cwd=tmp_path)
    assert with_report.returncode == 0
    assert "made with other settings (html off, now on); made again" in with_report.stderr
    assert (tmp_path / "a_masks" / "report.html").is_file()
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    Image.fromarray(photo[16:32, :24]).save(tmp_path / "a.png")
    assert "the input has changed since; made again" in srcli(*draw, "--html", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("-o", "new.xyz"), "-o new.xyz: srcli cannot write .xyz files; hint: end it in .avif"),
        (("-o", "new.gif"), "-o new.gif: a single image cannot be written as .gif; hint: end"),
        (("-o", "new.mp4"), "-o new.mp4: a single image cannot be written as .mp4; hint: end"),
        (
            ("-o", "new.jpg", "--format", "png"),
            "-o new.jpg and --format png do not agree; hint: -o new.png, or leave out --format",
        ),
    ],
)  # fmt: skip
def test_names_that_no_result_can_have_are_refused_before_any_work(
    options: tuple[str, ...], line: str, tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    ended = srcli("upscale", "a.png", *options, cwd=tmp_path)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    (tmp_path / "new.xyz").mkdir()
    plan = srcli("upscale", "a.png", "-o", "new.xyz", *QUICK, "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0
