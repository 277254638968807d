"""Commands given again: with patterns, long names, and names that look like numbers."""

import glob
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from srcli.cli.main import main
from tests.cli.processes import FAST, counts, hashes, instants, srcli


def test_a_pattern_and_a_shells_list_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    folder.mkdir()
    for name in ("2024-a.png", "2024-b.png"):
        Image.fromarray(np.full((9, 12, 3), 90, np.uint8)).save(folder / name)
    before = hashes(folder)
    first = srcli("upscale", "g/2024-*", *FAST, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    made = instants(folder)
    assert len(made) == 4
    again = srcli("upscale", "g/2024-*", *FAST, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert counts(again.stdout) == [0, 2, 0]
    assert (
        "srcli: skipping g/2024-a_x4.png: it is the result of g/2024-a.png; 1 more input"
        in again.stderr
    )
    assert instants(folder) == made
    (folder / "2024-b_x4.png").unlink()
    listed = sorted(glob.glob("g/2024-*", root_dir=tmp_path))  # noqa: PTH207 as a shell does
    ended = srcli("upscale", *listed, "--overwrite", *FAST, cwd=tmp_path)
    assert (ended.returncode, counts(ended.stdout)) == (0, [2, 0, 0]), ended.stderr
    assert hashes(folder).items() >= before.items()
    assert len(hashes(folder)) == 4


def test_a_long_name_of_what_moves_is_one_of_many(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frames = [Image.new("RGB", (10, 8), colour) for colour in ("red", "blue")]
    moving = tmp_path / "in" / ("動" * 83 + ".gif")
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in" / "a.png")
    inputs = sorted((tmp_path / "in").iterdir())
    ended = srcli("upscale", *inputs, *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert counts(ended.stdout) == [2, 0, 0]
    again = srcli("upscale", *inputs, *FAST, cwd=tmp_path)
    assert counts(again.stdout) == [0, 2, 0], again.stderr


@pytest.mark.parametrize("option", ["--max-seconds", "--max-megapixels", "--max-output-megapixels"])
def test_numbers_that_are_none(tmp_path: Path, option: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    ended = CliRunner().invoke(main, ["upscale", str(tmp_path / "a.png"), option, "nan"])
    assert ended.exit_code == 2
    assert "nan is no number" in ended.output
