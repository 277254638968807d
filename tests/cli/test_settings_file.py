"""`srcli.toml`: what it sets, what it cannot, and what goes before it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli import processes


def srcli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With a configuration folder of its own."""
    return processes.srcli(*arguments, cwd=cwd, XDG_CONFIG_HOME=str(cwd / "user"))


def plan(*arguments: object, cwd: Path) -> list[dict[str, object]]:
    ended = srcli("upscale", *arguments, "-m", "adaformer-s", "--dry-run", "--json", cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def save(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path)


def test_settings_from_files(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "user" / "srcli").mkdir(parents=True)
    (tmp_path / "user" / "srcli" / "srcli.toml").write_text("[upscale]\nscale = 3\nquality = 80\n")
    (tmp_path / "srcli.toml").write_text('[upscale]\nscale = 2\neffort = "fast"\n')
    assert plan("in", cwd=tmp_path)[0]["width"] == 16
    assert plan("in", "-s", "1.5", cwd=tmp_path)[0]["width"] == 12
    shown = srcli("config", "show", cwd=tmp_path).stdout.splitlines()
    assert f"scale = 2  # {tmp_path / 'srcli.toml'}" in shown
    assert f"quality = 80  # {tmp_path / 'user' / 'srcli' / 'srcli.toml'}" in shown
    assert 'device = "auto"  # default' in shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[upscale]\nscal = 2\n", "line 2: [upscale] has no option 'scal'; did you mean scale?"),
        ("[upscale]\neffort = 'wild'\n", "line 2: [upscale] effort is wild: 'wild' is not one of"),
        ("# a\n[upscale]\nquality = 200\n", "line 3: [upscale] quality is 200: 200 is not in the"),
        ("upscale.format = 'bmpx'\n", "line 1: [upscale] format is bmpx: 'bmpx' is not one of"),
        (
            "upscale = { fit = '12' }\n",
            "line 1: [upscale] fit is 12: '12' is not a size; hint: WxH",
        ),
        (
            "[upscale]\nmax-file-size = 'big'\n",
            "max-file-size is big: 'big' is not a number of bytes",
        ),
        ("[bench]\nruns = 'some'\n", "line 2: [bench]"),
        ("[upscaler]\n", "srcli.toml, line 1: no table [upscaler]"),
        ("scale =", "Invalid value"),
        (
            "[upscale]\nscale = 'big'\n",
            "line 2: [upscale] scale is big: 'big' is not a number",
        ),
        ("[upscale]\nfit = [30, 30]\n", "[upscale] fit is [30, 30]: it must be a text or"),
        ("[upscale]\nstart = 2026-11-21\n", "[upscale] start is 2026-11-21: it must be"),
        ("[upscale]\ninclude = [[1]]\n", "[upscale] include is [[1]]: it must be"),
        ("[upscale]\nquality = true\n", "[upscale] quality is True: it must be a text or"),
        ("[upscale]\noverwrite = 'yes'\n", "overwrite is yes: it must be true or false"),
        ("[upscale]\nscale = 2\nwidth = 30\n", "more than one size"),
    ],
)
def test_wrong_settings_files(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "srcli.toml").write_text(text)
    ended = srcli("upscale", "in", cwd=tmp_path)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Invalid value for '--" not in ended.stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scale = 9", "scale is 9"),
        ("model = 'nobody'", "model is nobody"),
        ("device = 'cuda:77'", "device is cuda:77"),
        ("name = 'a/{stem}.png'", "name is a/{stem}.png"),
        ("format = 'png'", "format is png"),
    ],
)
def test_values_that_the_work_refuses_are_traced_to_their_file(
    tmp_path: Path, text: str, line: str
) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "srcli.toml").write_text(f"[upscale]\n{text}\n")
    out = ("-o", "out.jpg") if "format" in text else ()
    ended = srcli("upscale", "in/a.png", "--offline", *out, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"srcli.toml, line 2: [upscale] {line}\n" in ended.stderr
    typed = srcli("upscale", "in/a.png", "-m", "nobody", "-s", "9", cwd=tmp_path)
    assert "nobody\n" not in typed.stderr
    assert "is 9\n" not in typed.stderr


def test_what_is_typed_instead_goes_before(tmp_path: Path) -> None:
    """A size, and an effort, of another kind than the file's."""
    save(tmp_path / "a.png")
    (tmp_path / "srcli.toml").write_text("[upscale]\nscale = 2\nhalt-eps = 0.5\n")
    given = ("a.png", "--name", "{stem}_{effort}.png")
    (planned, *_) = plan(*given, cwd=tmp_path)
    assert (planned["width"], Path(str(planned["output"])).name) == (16, "a_0.5.png")
    (planned, *_) = plan(*given, "--width", "24", "--effort", "exact", cwd=tmp_path)
    assert (planned["width"], Path(str(planned["output"])).name) == (24, "a_exact.png")


def test_the_nearer_file_goes_before(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "user" / "srcli").mkdir(parents=True)
    (tmp_path / "user" / "srcli" / "srcli.toml").write_text("[upscale]\nwidth = 30\n")
    (tmp_path / "srcli.toml").write_text("[upscale]\nscale = 2\n")
    (planned, *_) = plan("a.png", cwd=tmp_path)
    assert planned["width"] == 16


def test_kinds_of_values(tmp_path: Path) -> None:
    """A number, a time and a single text where options take texts, times and lists."""
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.jpg")
    (tmp_path / "srcli.toml").write_text(
        "[upscale]\nduration = 10\nstart = 00:01:00\ninclude = '*.png'\nno-gps = true\n"
        "tile = 64\nfit = '30x30'\n"
    )
    (planned, summary) = plan("in", cwd=tmp_path)
    assert (planned["width"], summary["planned"]) == (30, 1)
    shown = srcli("config", "show", cwd=tmp_path).stdout
    assert f'start = "00:01:00"  # {tmp_path / "srcli.toml"}' in shown
