"""Results that srcli knows: by a journal above them, or by a record of their own."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.jobs.journal import Journal
from tests.cli.processes import srcli

QUICK = ("-m", "adaformer-s", "-s", 2, "--effort", "fast", "--precision", "fp32")


@pytest.fixture
def photos(tmp_path: Path, photo: np.ndarray) -> Path:
    """A folder `photos` with an image, and one in a subfolder."""
    (tmp_path / "photos" / "1998").mkdir(parents=True)
    Image.fromarray(photo[:16, :24]).save(tmp_path / "photos" / "a.png")
    Image.fromarray(photo[8:24, :24]).save(tmp_path / "photos" / "1998" / "b.png")
    return tmp_path / "photos"


def done(stdout: str) -> int:
    return int(re.findall(r"^done +(\d+)", stdout, re.MULTILINE)[0])


def test_a_result_made_alone_is_known_where_a_journal_is(photos: Path) -> None:
    """A journal that appears later does not hide the record of what was made before."""
    shutil.copy(photos / "1998" / "b.png", photos / "b.png")
    assert done(srcli("upscale", "a.png", *QUICK, cwd=photos).stdout) == 1
    assert done(srcli("upscale", "a.png", "b.png", *QUICK, cwd=photos).stdout) == 1
    same = srcli("upscale", "a.png", *QUICK, cwd=photos)
    assert "a.png: skipped, done before, with the same settings" in same.stderr
    failed = srcli("upscale", "a.png", *QUICK, "--tile", 0, "--on-mismatch", "fail", cwd=photos)
    assert "made with other settings (tile auto, now 0)" in failed.stderr
    other = srcli("upscale", "a.png", *QUICK, "--tile", 0, cwd=photos)
    assert done(other.stdout) == 1
    entries = Journal(photos, create=False).entries()
    assert {path.name: entry.state for path, entry in entries.items()} == {
        "a_x2.png": "done",
        "b_x2.png": "done",
    }


def test_results_in_subfolders_are_no_inputs(photos: Path) -> None:
    tree = photos.parent
    assert done(srcli("upscale", "photos", *QUICK, cwd=tree).stdout) == 2
    again = srcli("upscale", ".", *QUICK, "-o", tree.parent / "out", "--dry-run", cwd=tree)
    assert again.stdout.splitlines()[-1].startswith("2 to do, 0 skipped")
    assert (
        "photos_x2/a.png: it is the result of photos/a.png; 1 more input is a result"
        in again.stderr
    )
    alone = srcli("upscale", "photos_x2", *QUICK, "--dry-run", cwd=tree)
    assert alone.stdout.splitlines()[-1].startswith("2 to do")  # asked for by name, without origins


def test_results_made_alone_are_no_inputs_either(photos: Path) -> None:
    assert done(srcli("upscale", "a.png", *QUICK, "-o", "large.png", cwd=photos).stdout) == 1
    pattern = srcli("upscale", "a.png", "large.png", *QUICK, "--dry-run", cwd=photos)
    assert "skipping large.png: it is the result of a.png" in pattern.stderr
    assert pattern.stdout.splitlines()[-1].startswith("1 to do")


def test_the_summary_says_where_a_skipped_result_lies(photos: Path) -> None:
    first = srcli("upscale", "a.png", *QUICK, cwd=photos)
    again = srcli("upscale", "a.png", *QUICK, cwd=photos)
    for ended in (first, again):
        assert re.search(r"^results +a_x2\.png$", ended.stdout, re.MULTILINE)
    srcli("upscale", photos, *QUICK)
    skipped = srcli("upscale", photos, *QUICK)
    assert re.search(rf"^results +{re.escape(str(photos))}_x2$", skipped.stdout, re.MULTILINE)


def test_folders_of_a_run_in_which_everything_failed_do_not_stay(photos: Path) -> None:
    out = photos.parent / "new" / "out"
    ended = srcli("upscale", photos, "-o", out, "--fit", "3840x2160", *QUICK[:2], *QUICK[4:])
    assert ended.returncode == 3
    assert not out.parent.exists()
    (photos.parent / "mine").mkdir()
    kept = photos.parent / "mine"
    srcli("upscale", photos, "-o", kept, "--fit", "3840x2160", *QUICK[:2], *QUICK[4:])
    assert [path.name for path in kept.iterdir()] == [".srcli"]  # it was there before


def test_verify_takes_one_result_and_a_subfolder(photos: Path) -> None:
    srcli("upscale", "a.png", *QUICK, cwd=photos)
    by_record = srcli("verify", "a_x2.png", cwd=photos)
    assert (by_record.returncode, by_record.stdout.split()) == (0, ["intact", "1"])
    tree = photos.parent
    srcli("upscale", "photos", *QUICK, cwd=tree)
    for place in ("photos_x2/a.png", "photos_x2/1998", "photos_x2/1998/b.png"):
        ended = srcli("verify", place, cwd=tree)
        assert (ended.returncode, ended.stdout.split()) == (0, ["intact", "1"]), place
    Image.new("RGB", (48, 32)).save(tree / "photos_x2" / "1998" / "b.png")
    altered = srcli("verify", "photos_x2/1998", cwd=tree)
    assert altered.returncode == 1
    assert "b.png: altered, its content differs from what was made" in altered.stderr
    (tree / "photos_x2" / "1998" / "b.png").unlink()
    assert "b.png: missing" in srcli("verify", "photos_x2/1998", cwd=tree).stderr
    nowhere = srcli("verify", "photos_x3", cwd=tree)
    assert nowhere.returncode == 2
    assert "photos_x3 does not exist; hint: check the name" in nowhere.stderr
