"""`srcli upscale` over folders as people have them: what is told of, and the exit codes."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.processes import FAST, srcli
from tests.video.conftest import Recipe, make_clip

MODEL = ("-m", "adaformer-s", "-s", "2", *FAST)


@pytest.fixture
def mixed(photos: Path) -> Path:
    """Two images, a link that leads nowhere, a linked folder, and what is passed over."""
    (photos / "gone").symlink_to("nowhere")
    (photos / "linked").symlink_to(".")
    for name in ("one.psd", "two.psd", "raw.cr2"):
        (photos / name).write_bytes(b"x")
    (photos / "@eaDir").mkdir()
    return photos


def test_what_cannot_be_done_is_told_and_counted(mixed: Path) -> None:
    for more in ((), ("-v",)):
        ended = srcli("upscale", "photos", "-o", "out", *MODEL, *more, cwd=mixed.parent)
        assert ended.returncode == 1, ended.stderr
        assert {p.name for p in (mixed.parent / "out").glob("*.png")} == {"a.png", "b.png"}
        assert "photos/gone: a link that leads nowhere" in ended.stderr
        assert "3 files of kinds that are not read: .psd 2, .cr2 1" in ended.stdout
        assert "1 folder of thumbnails or trash: @eaDir 1" in ended.stdout
        assert "a link to a folder; hint: --follow-links" in ended.stdout
        assert ("photos/raw.cr2: ignored" in ended.stderr) is bool(more)
    told = srcli("upscale", "photos", "-o", "out", "--json", *MODEL, cwd=mixed.parent).stdout
    events = [json.loads(line) for line in told.splitlines()]
    assert {e["event"] for e in events} == {"skipped", "failed", "summary"}
    assert events[-1]["ignored"] == {".psd": 2, ".cr2": 1, "@eaDir": 1}
    assert events[-1]["exit_code"] == 1


def test_a_dry_run_ends_as_the_run_would(mixed: Path) -> None:
    dry = ("--dry-run", *MODEL)
    planned = srcli("upscale", "photos", *dry, cwd=mixed.parent)
    assert planned.returncode == 1
    assert "2 to do, 1 skipped, 1 will fail" in planned.stdout
    assert "ignored 3 files of kinds that are not read: .psd 2, .cr2 1" in planned.stdout
    (mixed / "gone").unlink()
    assert srcli("upscale", "photos", *dry, cwd=mixed.parent).returncode == 0
    (mixed / "a.png").write_bytes(b"no image")
    assert srcli("upscale", "photos/a.png", *dry, cwd=mixed.parent).returncode == 3
    told = srcli("upscale", "photos", "--json", *dry, cwd=mixed.parent).stdout.splitlines()
    assert json.loads(told[-1])["exit_code"] == 1


def test_clips_without_a_size_fail_alone(photos: Path) -> None:
    frames = [Image.new("RGB", (10, 8), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "moves.gif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "moves.png", save_all=True, append_images=frames[1:])
    Image.new("RGB", (10, 8)).save(photos / "still.gif")
    fit = ("-m", "adaformer-s", "--fit", "32x32", *FAST)
    ended = srcli("upscale", "photos", "-o", "out", *fit, cwd=photos.parent)
    assert ended.returncode == 1, ended.stderr
    assert {p.name for p in (photos.parent / "out").glob("[!.]*")} == {"a.png", "b.png"}
    for name in ("moves.gif", "moves.png", "still.gif"):
        assert f"photos/{name} is a clip, and --width, --height, --fit" in ended.stderr
    alone = srcli("upscale", "photos/moves.gif", *fit, cwd=photos.parent)
    assert alone.returncode == 2
    jpg = srcli("upscale", "photos", "--format", "jpg", "-o", "jpg", *MODEL, cwd=photos.parent)
    assert jpg.returncode == 1
    names = {p.name for p in (photos.parent / "jpg").glob("[!.]*")}
    assert names == {"a.jpg", "b.jpg", "moves.jpg"}  # the first of an APNG's images
    assert "still.gif is a clip, which jpeg cannot hold; hint: --format png" in jpg.stderr


def test_a_list_with_a_missing_name(photos: Path) -> None:
    (photos.parent / "list").write_bytes(b"\xef\xbb\xbfphotos/a.png\r\nphotos/c.png\r\n")
    ended = srcli("upscale", "--files-from", "list", "-o", "out", *MODEL, cwd=photos.parent)
    assert ended.returncode == 1
    assert "photos/c.png does not exist" in ended.stderr
    assert (photos.parent / "out" / "a_x2.png").exists()


def test_names_that_are_no_text_fail_or_work_alone(photos: Path) -> None:
    good = (photos / "a.png").read_bytes()
    frames = [Image.new("RGB", (10, 8), colour) for colour in ("red", "blue")]
    odd = {name: photos / os.fsdecode(name) for name in (b"g\xff.png", b"b\xff.png", b"d\xff.gif",
           b"m\xff.gif", b"p\xff.tif", b"c\xff.mp4", b"b\xff.mp4")}  # fmt: skip
    for name, path in odd.items():
        path.write_bytes(good[: len(good) if name == b"g\xff.png" else 60])
    frames[0].save(odd[b"m\xff.gif"], save_all=True, append_images=frames[1:])
    frames[0].save(odd[b"p\xff.tif"], save_all=True, append_images=frames[1:])
    make_clip(photos / "clip.mp4", Recipe(frames=2, size=(16, 16))).rename(odd[b"c\xff.mp4"])
    ended = srcli("upscale", "photos", "-o", "out", *MODEL, cwd=photos.parent)
    assert ended.returncode == 1, ended.stderr
    assert "please report" not in ended.stderr
    made = {os.fsencode(path.name) for path in (photos.parent / "out").glob("[!.]*")}
    assert made == {b"a.png", b"b.png", b"g\xff.png", b"m\xff.gif", b"p\xff.tif", b"c\xff.mp4"}
    told = json.loads(srcli("status", "out", "--json", cwd=photos.parent).stdout)
    assert sorted(one["condition"] for one in told["outputs"]) == ["failed"] * 2 + ["sound"] * 4


def test_spellings_of_one_name_are_told_apart(photos: Path) -> None:
    for name in ("A.PNG", "u\u0308ber.png", "\u00fcber.png"):
        shutil.copy(photos / "b.png", photos / name)
    if len(list(photos.iterdir())) < 5:
        pytest.skip("this file system sees no difference")
    ended = srcli("upscale", "photos", "-o", "out", *MODEL, cwd=photos.parent)
    assert ended.returncode == 0, ended.stderr
    assert len(list((photos.parent / "out").glob("[!.]*"))) == 5
    assert "photos/u\\u0308ber.png and photos/\\xfcber.png differ in case" in ended.stderr
    assert "photos/A.PNG and photos/a.png differ in case" in ended.stderr


@pytest.mark.parametrize(("typed", "suffix"), [("jpeg", "jpg"), ("JPG", "jpg"), (".tif", "tif")])
def test_formats_by_any_of_their_names(photos: Path, typed: str, suffix: str) -> None:
    more = ("--format", typed, "--dry-run", "--json", *MODEL)
    ended = srcli("upscale", "photos/a.png", *more, cwd=photos.parent)
    planned = json.loads(ended.stdout.splitlines()[0])
    assert planned["output"] == f"photos/a_x2.{suffix}"


def test_a_cache_that_cannot_be_written_leaves_the_network_uncompiled(photos: Path) -> None:
    (photos.parent / "file").write_bytes(b"")
    ended = srcli("upscale", "photos/a.png", "-o", "o.png", "--compile", *MODEL,
                  cwd=photos.parent, XDG_CACHE_HOME=str(photos.parent / "file"))  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "not compiled: " in ended.stderr
    assert "file/srcli/compiled cannot be written (Not a directory)" in ended.stderr
    assert (photos.parent / "o.png").exists()


def test_other_commands_tell_of_what_they_cannot_read(photos: Path) -> None:
    (photos / "gone").symlink_to("nowhere")
    (photos / "old.psd").write_bytes(b"")
    drawn = srcli("visualize-mask", "photos", "-m", "adaformer-s", cwd=photos.parent)
    assert drawn.returncode == 1, drawn.stderr
    assert "photos/gone: a link that leads nowhere" in drawn.stderr
    assert "1 file of a kind that is not read: .psd 1" in drawn.stdout
    assert (photos / "b_masks").is_dir()
    checked = srcli("verify", "photos", cwd=photos.parent)
    assert checked.returncode == 1
    assert "gone: damaged, photos/gone: a link that leads nowhere" in checked.stderr
