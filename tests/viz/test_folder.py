"""Folders of masks: whole or absent, told from anyone's, and no images to work on."""

import errno
import json
import os
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from srcli.errors import UnwritableImage
from srcli.jobs.discover import discover
from srcli.masks import _KEYS, SHEET, SUMMARY, files_of_masks, is_mask_folder
from srcli.viz.folder import write_folder
from srcli.viz.stats import MaskStats

NUMBERS: dict[str, object] = dict.fromkeys((field.name for field in fields(MaskStats)), 1)


def fill(target: Path, word: str, *, overwrite: bool = False) -> None:
    def write(folder: Path) -> None:
        (folder / SHEET).write_text(word)
        (folder / f"{word}.png").write_text(word)

    write_folder(target, write, NUMBERS, overwrite=overwrite)


def holds(target: Path, word: str) -> bool:
    """Tell if a folder is whole, and nothing lies beside it."""
    made = sorted(path.name for path in target.iterdir())
    beside = [path.name for path in target.parent.iterdir()]
    return made == sorted([SHEET, SUMMARY, f"{word}.png"]) and beside == ["m"]


def test_what_marks_a_folder_is_what_is_written(tmp_path: Path) -> None:
    fill(tmp_path / "m", "old")
    assert files_of_masks(tmp_path / "m") == {SHEET, SUMMARY, "old.png"}
    assert {*NUMBERS} > _KEYS


def test_files_are_synced_as_windows_demands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows syncs only what is open for writing."""
    fcntl = pytest.importorskip("fcntl", reason="on Windows the system itself demands it")
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", sync)
    fill(tmp_path / "m", "new")
    assert sorted(synced) == sorted(path.stat().st_ino for path in (tmp_path / "m").iterdir())


@pytest.mark.parametrize("broken", range(4))
def test_what_is_replaced_is_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    """Whichever step the system refuses, one of both is there, whole and alone."""
    target = tmp_path / "m"
    fill(target, "old")
    steps: list[str] = []
    rename, rmtree = Path.rename, shutil.rmtree

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == broken:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def renamed(self: Path, to: Path) -> Path:
        step("rename")
        return rename(self, to)

    def removed(path: Path, ignore_errors: bool = False) -> None:
        if (path / SHEET).exists():  # a whole one: begins with its first file, then is stopped
            try:
                step("remove")
            except PermissionError:
                (path / SHEET).unlink()
                if not ignore_errors:
                    raise
                return
        rmtree(path, ignore_errors)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        patch.setattr(shutil, "rmtree", removed)
        if broken in (1, 2):
            with pytest.raises(UnwritableImage, match="m: Permission denied"):
                fill(target, "new", overwrite=True)
        else:
            fill(target, "new", overwrite=True)
    for left in tmp_path.glob(".*"):
        assert broken == 3  # what could not be deleted stays hidden
        shutil.rmtree(left)
    assert holds(target, "old" if broken in (1, 2) else "new"), steps
    fill(target, "again", overwrite=True)
    assert holds(target, "again")


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    fill(tmp_path / "far" / "m", "old")
    (tmp_path / "m").symlink_to(tmp_path / "far" / "m", target_is_directory=True)
    with pytest.raises(UnwritableImage, match="m: is a link; hint: remove it, or choose -o"):
        fill(tmp_path / "m", "new", overwrite=True)
    assert holds(tmp_path / "far" / "m", "old")


ANYONES = [
    "",
    "{",
    "{}",
    "[1]",
    "[" * 100_000,
    '{"files": ["contact-sheet.png", "summary.json"]}',
    json.dumps({**NUMBERS, "files": "contact-sheet.png, summary.json"}),
    json.dumps({**NUMBERS, "files": [SUMMARY, {}]}),
    json.dumps({**NUMBERS, "files": [SUMMARY, SHEET], "more": " " * (1 << 20)}),
]


@pytest.mark.parametrize("content", ANYONES, ids=lambda text: text[:20])
def test_anyones_summary_hides_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / SUMMARY).write_text(content)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").touch()
    assert not is_mask_folder(tmp_path)
    assert [source.path for source in discover((tmp_path,))] == [tmp_path / "sub" / "a.png"]
    with pytest.raises(UnwritableImage, match="was not made by srcli visualize-mask"):
        fill(tmp_path, "new", overwrite=True)


@pytest.mark.parametrize("clips", [False, True], ids=["visualize-mask", "upscale"])
def test_maps_are_no_images_to_work_on(tmp_path: Path, clips: bool) -> None:
    (tmp_path / "cat.png").touch()
    fill(tmp_path / "cat_masks", "old")
    (tmp_path / "cat_masks" / "sub").mkdir()
    (tmp_path / "cat_masks" / "sub" / "a.png").touch()
    found = discover((tmp_path, tmp_path / "cat_masks"), clips=clips)
    assert [source.path for source in found] == [tmp_path / "cat.png"]
    named = tmp_path / "cat_masks" / "old.png"
    assert [source.path for source in discover((named,), clips=clips)] == [named]
