"""`--keep-times`: results have the modification time of their input, and continue all the same."""

import os
import shutil
from pathlib import Path

from PIL import Image

from tests.cli.processes import FAST, counts, instants, srcli

LONG_AGO = 1_000_000_000  # s
SMALL = (*FAST, "-m", "adaformer-s", "-s", "2", "--offline")


def inputs_of_all_kinds(folder: Path) -> Path:
    """An image, a TIFF of two pages, and an animation, each from a time of its own."""
    folder.mkdir()
    frames = [Image.new("RGB", (10, 8), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "image.png")
    for name in ("pages.tif", "moves.gif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (LONG_AGO + number, LONG_AGO + number))
    return folder


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*")}


def upscaled(folder: Path, *options: str) -> list[int]:
    """Numbers of results that were made, skipped, failed."""
    ended = srcli("upscale", folder, *SMALL, *options)
    assert ended.returncode == 0, ended.stderr
    return counts(ended.stdout)


def test_results_have_their_inputs_times_and_are_made_once(
    tmp_path: Path,
) -> None:
    folder, results = inputs_of_all_kinds(tmp_path / "in"), tmp_path / "in_x2"
    assert upscaled(folder, "--keep-times") == [3, 0, 0]
    assert times(results) == times(folder)
    made = instants(results)
    assert upscaled(folder, "--keep-times") == [0, 3, 0]
    assert upscaled(folder) == [0, 3, 0]
    assert instants(results) == made
    Image.new("RGB", (10, 8), "green").save(folder / "image.png")
    assert upscaled(folder, "--keep-times") == [1, 2, 0]
    assert times(results) == times(folder)
    assert Image.open(results / "image.png").getpixel((5, 5))[1] > 100  # type: ignore[index]


def test_results_that_are_there_get_the_times_without_being_made_again(tmp_path: Path) -> None:
    folder, results = inputs_of_all_kinds(tmp_path / "in"), tmp_path / "in_x2"
    assert upscaled(folder) == [3, 0, 0]
    assert min(times(results).values()) > LONG_AGO * 10**9 + 10**10
    numbers = {name: number for name, (number, _) in instants(results).items()}
    assert upscaled(folder, "--keep-times") == [0, 3, 0]
    assert times(results) == times(folder)
    os.utime(folder / "image.png", (LONG_AGO - 9, LONG_AGO - 9))  # touched, not changed
    assert upscaled(folder, "--keep-times") == [0, 3, 0]
    assert times(results) == times(folder)
    assert {name: number for name, (number, _) in instants(results).items()} == numbers
    checked = srcli("verify", results)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_frames_of_a_clip_and_a_single_image_have_them_too(tmp_path: Path) -> None:
    folder = inputs_of_all_kinds(tmp_path / "in")
    shutil.copy2(folder / "moves.gif", tmp_path / "one.gif")
    upscaled(tmp_path / "one.gif", "--keep-times", "--frames-dir", str(tmp_path / "frames"))
    source = (tmp_path / "one.gif").stat().st_mtime_ns
    assert (
        times(tmp_path / "frames").items()
        >= dict.fromkeys(("000000.png", "000001.png"), source).items()
    )
    upscaled(folder / "image.png", "--keep-times", "-o", str(tmp_path / "larger.png"))
    assert (tmp_path / "larger.png").stat().st_mtime_ns == times(folder)["image.png"]
