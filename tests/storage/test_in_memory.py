"""Images from storage and into it, by the same rules as folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from srcli.jobs.journal import Entry, Journal
from tests.cli.processes import counts, srcli
from tests.storage.in_memory import SMALL, Ended, copies_left, objects, png

Run = Callable[..., Ended]


@pytest.fixture
def pictures(storage: Any) -> Any:
    for name in ("a.png", "sub/b.png", "sub/c.png"):
        storage.pipe_file(f"/in/{name}", png(len(name)))
    return storage


def entries(path: Path) -> dict[Path, Entry]:
    journal = Journal(path, create=False, file=path)
    try:
        return journal.entries()
    finally:
        journal.close()


def upscale(run: Run, *words: object) -> Ended:
    return run("upscale", *words, *SMALL)


def test_results_are_those_of_a_folder(pictures: Any, run: Run, tmp_path: Path) -> None:
    pictures.pipe_file("/in/bad.png", b"no image")
    pictures.get("/in", str(tmp_path / "in"), recursive=True)
    here = upscale(run, tmp_path / "in", "-o", tmp_path / "here")
    ended = upscale(run, "memory://in")
    assert here.code == ended.code == 1
    assert ended.counts() == (3, 0, 1)
    expected = {
        str(path.relative_to(tmp_path / "here")): path.read_bytes()
        for path in (tmp_path / "here").rglob("[!.]*.png")
    }
    assert objects(pictures, "in_x4") == expected
    assert "memory://in/bad.png: " in ended.err
    assert copies_left() == []


def test_a_second_run_downloads_nothing(
    pictures: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("memory://in", "-o", "memory://out", "--journal", tmp_path / "run.sqlite")
    assert upscale(run, *words).counts() == (3, 0, 0)
    known = entries(tmp_path / "run.sqlite")
    assert {str(path) for path in known} == {
        f"memory://out/{name}" for name in ("a.png", "sub/b.png", "sub/c.png")
    }
    assert all(one.state == "done" and one.origin.tag and one.output.tag for one in known.values())
    read = []
    monkeypatch.setattr(type(pictures), "cat_file", lambda *_, **__: read.append(1))
    assert upscale(run, *words).counts() == (0, 3, 0)
    assert read == []


def test_a_changed_input_is_done_again(pictures: Any, run: Run) -> None:
    upscale(run, "memory://in")
    before = objects(pictures, "in_x4")
    pictures.pipe_file("/in/a.png", png(99))
    assert upscale(run, "memory://in").counts() == (1, 2, 0)
    after = objects(pictures, "in_x4")
    assert [name for name in after if after[name] != before[name]] == ["a.png"]


def test_a_deleted_result_is_made_again_and_an_altered_one_is_kept(pictures: Any, run: Run) -> None:
    upscale(run, "memory://in")
    pictures.rm_file("/in_x4/a.png")
    pictures.pipe_file("/in_x4/sub/b.png", b"edited")
    ended = upscale(run, "memory://in")
    assert ended.counts() == (1, 2, 0)
    assert "the output was altered since it was made" in ended.err
    assert pictures.cat_file("/in_x4/sub/b.png") == b"edited"
    assert upscale(run, "memory://in", "--on-mismatch", "redo").counts() == (1, 2, 0)
    assert pictures.cat_file("/in_x4/sub/b.png").startswith(b"\x89PNG")


def test_an_object_that_no_journal_knows_is_kept(pictures: Any, run: Run) -> None:
    pictures.pipe_file("/in_x4/a.png", b"mine")
    ended = upscale(run, "memory://in")
    assert ended.counts() == (2, 1, 0)
    assert pictures.cat_file("/in_x4/a.png") == b"mine"
    assert upscale(run, "memory://in", "--overwrite").counts() == (3, 0, 0)
    assert pictures.cat_file("/in_x4/a.png") != b"mine"


def test_from_a_folder_into_storage_and_back(pictures: Any, run: Run, tmp_path: Path) -> None:
    pictures.get("/in", str(tmp_path / "in"), recursive=True)
    assert upscale(run, tmp_path / "in", "-o", "memory://there").counts() == (3, 0, 0)
    assert upscale(run, "memory://in", "-o", tmp_path / "here").counts() == (3, 0, 0)
    for name, content in objects(pictures, "there").items():
        assert (tmp_path / "here" / name).read_bytes() == content
    assert (tmp_path / "here" / ".srcli" / "journal.sqlite").exists()
    assert upscale(run, "memory://in", "-o", tmp_path / "here").counts() == (0, 3, 0)


def test_one_object(pictures: Any, run: Run) -> None:
    assert upscale(run, "memory://in/sub/b.png").counts() == (1, 0, 0)
    assert upscale(run, "memory://in/sub/b.png", "-o", "memory://out/big.png").code == 0
    assert pictures.cat_file("/in/sub/b_x4.png") == pictures.cat_file("/out/big.png")
    assert upscale(run, "memory://in/sub/b.png").counts() == (0, 1, 0)


def test_results_among_the_inputs_are_no_inputs(pictures: Any, run: Run) -> None:
    words = ("memory://in/sub/*.png",)
    assert upscale(run, *words).counts() == (2, 0, 0)
    ended = upscale(run, *words)
    assert ended.counts() == (0, 2, 0)
    assert "it is the result of memory://in/sub/" in ended.err
    assert sorted(objects(pictures, "in/sub")) == ["b.png", "b_x4.png", "c.png", "c_x4.png"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("memory://in/sub/*.png", {"b_x4.png", "c_x4.png"}),
        ("memory://in/s*", {"b.png", "c.png"}),
        ("memory://in/**/[ab].png", {"a_x4.png", "b_x4.png"}),
    ],
)
def test_patterns(pictures: Any, run: Run, pattern: str, found: set[str]) -> None:
    assert upscale(run, pattern, "-o", "memory://out").code == 0
    assert set(objects(pictures, "out")) == found


def test_patterns_of_include_and_exclude(pictures: Any, run: Run) -> None:
    upscale(run, "memory://in", "--include", "sub/**", "--exclude", "c.*")
    assert set(objects(pictures, "in_x4")) == {"sub/b.png"}


def test_what_is_no_image_is_told_of(pictures: Any, run: Run) -> None:
    pictures.pipe_file("/in/clip.mp4", b"clip")
    pictures.pipe_file("/in/moving.gif", b"GIF89a")
    pictures.pipe_file("/in/raw.cr2", b"raw")
    pictures.pipe_file("/in/@eaDir/a.png", b"thumbnail")
    ended = upscale(run, "memory://in")
    assert ended.counts() == (3, 2, 0)
    assert "2: clips and animations are done from folders of this machine only" in ended.out
    assert ".cr2 1" in ended.out
    assert "@eaDir 1" in ended.out
    alone = upscale(run, "memory://in/clip.mp4", "-o", "memory://out")
    assert alone.code == 3
    assert "memory://in/clip.mp4: clips and animations" in alone.err


def test_an_animation_by_its_content_fails(storage: Any, run: Run, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    storage.put_file(str(tmp_path / "a.webp"), "/in/a.webp")
    ended = upscale(run, "memory://in")
    assert ended.code == 3
    assert "memory://in/a.webp: an animation" in ended.err


def test_a_document_of_several_pages(storage: Any, run: Run, tmp_path: Path) -> None:
    pages = [Image.effect_noise((16, 12 + n), 50) for n in range(3)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    storage.put_file(str(tmp_path / "scan.tif"), "/in/scan.tif")
    assert upscale(run, "memory://in/scan.tif", "-o", "memory://out/scan.tif").code == 0
    storage.get_file("/out/scan.tif", str(tmp_path / "large.tif"))
    with Image.open(tmp_path / "large.tif") as large:
        assert large.n_frames == 3
    assert copies_left() == []


def test_names_that_no_file_can_have_fail(storage: Any, run: Run, tmp_path: Path) -> None:
    storage.pipe_file("/in/good.png", png(1))
    for name in ("/in/../../up.png", "/in//good.png"):
        storage.store[name] = type(storage.open("/x", "wb"))(storage, name, png(2))
    ended = upscale(run, "memory://in", "-o", tmp_path / "inside" / "out")
    assert ended.counts()[0] == 1
    assert [path.name for path in tmp_path.rglob("*.png")] == ["good.png"]


def test_a_list_of_urls(pictures: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("memory://in/a.png\nmemory://in/absent.png\n")
    ended = upscale(run, "--files-from", tmp_path / "list", "-o", "memory://out")
    assert ended.counts() == (1, 0, 1)
    assert "memory://in/absent.png does not exist" in ended.err


def test_the_dry_run_names_what_it_would_do(pictures: Any, run: Run) -> None:
    ended = upscale(run, "memory://in", "--dry-run")
    assert ended.code == 0
    assert "memory://in/sub/b.png -> memory://in_x4/sub/b.png" in ended.out
    assert "3 to do, 0 skipped" in ended.out
    assert "not the 3 in storage" in ended.out
    assert objects(pictures, "in_x4") == {}
    told = upscale(run, "memory://in", "--dry-run", "--json").out.splitlines()
    assert json.loads(told[0]) | {"time": 0} == {
        "event": "planned", "time": 0, "input": "memory://in/a.png",
        "output": "memory://in_x4/a.png", "format": "png", "unread": True,
    }  # fmt: skip


def test_events_name_urls(pictures: Any, run: Run) -> None:
    told = [json.loads(line) for line in upscale(run, "memory://in", "--json").out.splitlines()]
    done = [(one["input"], one["output"]) for one in told if one["event"] == "done"]
    assert sorted(done)[0] == ("memory://in/a.png", "memory://in_x4/a.png")
    assert {one.get("input", "memory://") for one in told} <= {
        "memory://", *(f"memory://in/{name}" for name in ("a.png", "sub/b.png", "sub/c.png")),
    }  # fmt: skip


def test_status_tells_the_truth(pictures: Any, tmp_path: Path) -> None:
    pictures.get("/in", str(tmp_path / "in"), recursive=True)
    urls = {name: f"file://{tmp_path / name}" for name in ("in", "out", "in_x4")}
    assert counts(srcli("upscale", urls["in"], *SMALL).stdout) == [3, 0, 0]
    named = ("-o", urls["out"], "--journal", tmp_path / "run.sqlite")
    assert counts(srcli("upscale", urls["in"], *named, *SMALL).stdout) == [3, 0, 0]
    (tmp_path / "in_x4" / "a.png").unlink()
    (tmp_path / "out" / "a.png").write_bytes(b"edited")
    told = srcli("status", urls["in_x4"])
    assert (told.returncode, told.stdout.split()[:4]) == (1, ["intact", "2", "missing", "1"])
    told = srcli("status", tmp_path / "run.sqlite")
    assert (told.returncode, told.stdout.split()[:4]) == (1, ["altered", "1", "intact", "2"])
    refused = srcli("verify", urls["out"])
    assert refused.returncode == 2
    assert f"hint: srcli status {urls['out']}" in refused.stderr


def test_a_journal_elsewhere_for_results_here(pictures: Any, run: Run, tmp_path: Path) -> None:
    pictures.get("/in", str(tmp_path / "in"), recursive=True)
    words = (tmp_path / "in", "-o", tmp_path / "out", "--journal", tmp_path / "j" / "run.sqlite")
    assert upscale(run, *words).counts() == (3, 0, 0)
    assert not (tmp_path / "out" / ".srcli").exists()
    assert upscale(run, *words).counts() == (0, 3, 0)
    assert upscale(run, *words, "-s", "2").counts() == (3, 0, 0)
    told = srcli("status", tmp_path / "j" / "run.sqlite")
    assert (told.returncode, told.stdout.split()[:2]) == (0, ["intact", "3"])
