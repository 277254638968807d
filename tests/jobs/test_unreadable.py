"""Folders and names that cannot be read: each fails alone, with a reason."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from srcli.errors import UsageError
from srcli.jobs import search_folder
from srcli.jobs.discover import Filter, Source, discover
from srcli.jobs.file_list import read_file_list
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import State
from srcli.jobs.plan import plan_jobs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, one of them in a folder of its own."""
    for name in ("a.png", "sub/b.png", "z.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "photos"


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, OSError]]:
    """Names of folders, and with what error the system shall refuse to list or enter them."""
    refused: dict[str, OSError] = {}
    real_list, real_stat = os.scandir, os.stat

    def scandir(path: object = ".") -> object:
        name = Path(str(path)).name
        if name in refused:
            error = refused[name]
            raise type(error)(error.errno, error.strerror, str(path))
        return real_list(path)  # type: ignore[call-overload]

    def stat(path: object, **more: object) -> object:
        text = str(path)
        if text.endswith("/.") and Path(text).name + "/." in refused:
            raise refused[Path(text).name + "/."]
        return real_stat(path, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "stat", stat)
    return refused  # type: ignore[return-value]


def ends(sources: list[Source]) -> dict[str, str]:
    """Verdicts by name."""
    return {s.path.name: f"{s.settled.state} {s.settled.reason}" for s in sources if s.settled}


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("sub", PermissionError(13, "Permission denied"), "Permission denied; hint: check its per"),
        ("sub/.", PermissionError(13, "Permission denied"), "--exclude 'sub/**'"),
        ("sub", OSError(5, "Input/output error"), "Input/output error; hint: check the disk"),
        ("sub", FileNotFoundError(2, "No such file"), "vanished while it was listed"),
    ],
)
@pytest.mark.parametrize("pattern", [None, "**/*.png", "*/*.png"])
def test_a_folder_that_cannot_be_searched_fails_alone(
    photos: Path,
    refusing: dict[str, OSError],
    name: str,
    error: OSError,
    said: str,
    pattern: str | None,
) -> None:
    refusing[name] = error
    found = discover([photos if pattern is None else photos / pattern])
    (reason,) = ends(found).values()
    assert reason.startswith(f"failed {photos / 'sub'}: the folder ")
    assert pattern is not None or said in reason
    images = [s.path.name for s in found if not s.settled]
    assert images == ([] if pattern == "*/*.png" else ["a.png", "z.png"])


def test_a_folder_that_breaks_off_gives_what_came_before(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    class Breaking:
        def __init__(self, path: object) -> None:
            self._inner = real(path)  # type: ignore[call-overload]

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            yield next(self._inner)
            raise OSError(5, "Input/output error")

        def __exit__(self, *_: object) -> None:
            self._inner.close()

    monkeypatch.setattr(search_folder.os, "scandir", Breaking)
    found = discover([photos / "sub"])
    assert [s.path.name for s in found if not s.settled] == ["b.png"]
    assert "Input/output error" in ends(found)["sub"]


def test_only_folders_that_may_hold_what_is_meant_are_missed(
    photos: Path, refusing: dict[str, OSError]
) -> None:
    refusing["sub"] = PermissionError(13, "Permission denied")
    for filter_, missed in (
        (Filter(exclude=("sub/**",)), False),
        (Filter(exclude=("sub",)), False),
        (Filter(include=("other/*.png",)), False),
        (Filter(include=("sub/*.png",)), True),
        (Filter(include=("*.png",)), True),
        (Filter(exclude=("sub/*.jpg",)), True),
    ):
        assert bool(ends(discover([photos], only=filter_))) is missed, filter_


def test_links_that_lead_nowhere(photos: Path) -> None:
    for name, to in {
        "loop.png": "loop.png",
        "loopdir": "loopdir",
        "gone": "away",
        "n.txt": "m",
    }.items():
        (photos / name).symlink_to(to)
    found = discover([photos])
    assert {name: reason.split()[0] for name, reason in ends(found).items()} == {
        "gone": "failed",
        "loopdir": "failed",
    }
    assert "loop.png" in [s.path.name for s in found]  # which fails when it is decoded


def test_names_that_are_missing_fail_alone_in_a_list_only(photos: Path) -> None:
    missing = photos / "missing.png"
    found = discover([photos / "a.png"], listed=[missing, photos / "*.jpg", photos / "z.png"])
    assert [s.path.name for s in found if not s.settled] == ["a.png", "z.png"]
    assert ends(found)["missing.png"].startswith("failed")
    assert "matches nothing" in ends(found)["*.jpg"]
    with pytest.raises(UsageError, match=r"missing\.png does not exist"):
        discover([photos / "a.png", missing])


def test_settled_inputs_are_settled_jobs(photos: Path) -> None:
    (photos / "loopdir").symlink_to("loopdir")
    jobs = plan_jobs(discover([photos]), None, label="x2", image_format="jpeg")
    assert [job.source.name for job in jobs if job.settled] == ["loopdir"]
    assert len(jobs) == 4


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_in_other_encodings(encoding: str, end: str) -> None:
    text = end.join(["photos/a.png", "photos/über.png", ""])
    assert read_file_list(text.encode(encoding)) == [Path("photos/a.png"), Path("photos/über.png")]


def test_a_big_endian_list_with_its_mark() -> None:
    assert read_file_list(b"\xfe\xff" + "ä.png\n".encode("utf-16-be")) == [Path("ä.png")]
    assert read_file_list(b"\xef\xbb\xbfb\xff.png\n") == [Path(os.fsdecode(b"b\xff.png"))]
    assert read_file_list(b"a\0b\0") == [Path("a"), Path("b")]


# ---- several names, and what is passed over


def test_every_name_of_a_file_is_an_input(photos: Path) -> None:
    (photos / "AAA.png").symlink_to("a.png")
    (photos / "sub" / "two.png").symlink_to("../a.png")
    (photos / "hard.png").hardlink_to(photos / "a.png")
    named = photos.parent / "photos" / ".." / "photos" / "a.png"
    found = discover([photos, named])
    assert len(found) == 6
    jobs = plan_jobs(found, None, label="x2", image_format=None)
    assert len({job.target for job in jobs}) == 6


@pytest.mark.parametrize("link_first", [True, False])
def test_the_real_file_wins_where_results_collide(photos: Path, link_first: bool) -> None:
    (photos.parent / "links").mkdir()
    link = photos.parent / "links" / "a.png"
    link.symlink_to(photos / "a.png")
    inputs = [link, photos / "a.png"] if link_first else [photos / "a.png", link]
    said: list[str] = []
    jobs = plan_jobs(
        *(discover(inputs), photos.parent / "out"), label="x2", image_format=None, tell=said.append
    )
    assert {str(job.source): job.settled and job.settled.state for job in jobs} == {
        str(photos / "a.png"): None,
        str(link): State.SKIPPED,
    }
    assert said == [f"{link} is another name of {photos / 'a.png'}, and becomes the same file"]


def test_linked_folders_are_followed_when_asked_for_each_once(photos: Path) -> None:
    elsewhere = photos.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.png").write_bytes(b"")
    (elsewhere / "back").symlink_to(photos)
    (photos / "0linked").symlink_to(elsewhere)
    (photos / "self").symlink_to(".")
    (photos / "sub" / "again").symlink_to(elsewhere)
    found = discover([photos])
    assert {
        name: "--follow-links" in reason for name, reason in ends(found).items()
    } == dict.fromkeys(("0linked", "self", "again"), True)
    found = discover([photos], follow_links=True)
    inside = [s.path.relative_to(photos).as_posix() for s in found if not s.settled]
    assert inside == ["a.png", "z.png", "sub/b.png", "0linked/c.png"]
    assert set(ends(found)) == {"self", "again", "back"}
    assert all("searched already" in reason for reason in ends(found).values())


def test_what_is_passed_over_is_counted(photos: Path) -> None:
    names = (
        *("one.psd", "two.PSD", "raw.cr2", "notes.txt", "._a.png", ".hidden.cr2"),
        *("@eaDir/t.png", "sub/@eaDir/t.png", "__MACOSX/c.png", ".Trashes/c.png"),
        *(".@__thumb/c.png", ".git/c.png", ".Trash-1000/c.png"),
    )
    for name in names:
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"")
    told: list[str] = []
    ignored = Ignored(told.append)
    assert len(discover([photos], ignored=ignored)) == 3
    assert ignored.files == {".psd": 2, ".cr2": 1}
    once = dict.fromkeys(("__MACOSX", ".Trashes", ".@__thumb", ".Trash-1000"), 1)
    assert ignored.folders == {"@eaDir": 2, **once}
    assert f"{photos / '.git'}: ignored, a hidden folder" in told
    by_pattern = Ignored()
    found = discover([photos / "**/*.p*"], ignored=by_pattern)
    assert [s.path.name for s in found] == ["a.png", "b.png", "z.png"]
    assert by_pattern.files == {".psd": 1}
    assert set(by_pattern.folders) == {"@eaDir", "__MACOSX"}


def test_a_folder_of_thumbnails_is_searched_only_if_nothing_else_is_named(photos: Path) -> None:
    (photos / "@eaDir").mkdir()
    (photos / "@eaDir" / "t.png").write_bytes(b"")
    ignored = Ignored()
    found = discover(sorted(photos.iterdir()), ignored=ignored)  # as a shell expands photos/*
    assert [s.path.name for s in found] == ["a.png", "b.png", "z.png"]
    assert ignored.folders == {"@eaDir": 1}
    assert [s.path.name for s in discover([photos / "@eaDir"])] == ["t.png"]


def test_a_pattern_does_not_go_round_in_a_loop_of_links(photos: Path) -> None:
    (photos / "self").symlink_to(".")
    found = discover([photos / "**/*.png"])
    assert sorted(s.path.name for s in found) == ["a.png", "b.png", "z.png"]


def test_brackets_may_be_part_of_a_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "Holiday [2024]"
    (folder / "day [1]").mkdir(parents=True)
    for name in ("a.png", "b.png", "day [1]/c.png"):
        (folder / name).write_bytes(b"")
    for pattern, names in {
        "Holiday [2024]/*.png": ["a.png", "b.png"],
        "Holiday [2024]/[a].png": ["a.png"],
        "Holiday [2024]/*/*.png": ["c.png"],
        "Holiday*/day [1]/*.png": ["c.png"],
        "Holiday ?2024?/*.png": ["a.png", "b.png"],
    }.items():
        assert [s.path.name for s in discover([tmp_path / pattern])] == names, pattern
