"""Inputs that are found, and the outputs they become."""

from pathlib import Path

import pytest

from srcli.errors import UsageError
from srcli.jobs.discover import Source, discover
from srcli.jobs.job import CLIP, Job, State
from srcli.jobs.plan import plan_jobs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as people have them."""
    root = tmp_path / "photos"
    names = ["b.jpg", "a.PNG", "notes.txt", ".hidden.png", "sub/c.tiff", ".cache/d.png",
             "sub/deep/e.webp", "ünï côde.jpeg"]  # fmt: skip
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "loop").symlink_to(root)
    return root


def images(*inputs: Path, exclude: Path | None = None) -> list[Source]:
    """Entries found there, without the link that is not followed."""
    return [source for source in discover(inputs, exclude=exclude) if not source.settled]


def names(sources: list[Source], root: Path) -> list[str]:
    return [s.path.relative_to(root).as_posix() for s in sources]


def test_folders_are_searched_for_images(photos: Path) -> None:
    found = names(images(photos), photos)
    assert found == ["a.PNG", "b.jpg", "ünï côde.jpeg", "sub/c.tiff", "sub/deep/e.webp"]


def test_each_image_once(photos: Path) -> None:
    found = images(photos / "b.jpg", photos, photos / "sub")
    assert len(found) == 5
    assert found[0] == Source(photos / "b.jpg", None)


def test_the_output_folder_is_not_searched(photos: Path) -> None:
    assert "sub/c.tiff" not in names(images(photos, exclude=photos / "sub"), photos)
    assert len(images(photos, exclude=photos)) == 5


def test_a_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        discover((tmp_path / "nowhere",))


def targets(jobs: list[Job], root: Path) -> list[str]:
    return [job.target.relative_to(root).as_posix() for job in jobs]


def test_default_names(photos: Path) -> None:
    root = photos.parent
    jobs = plan_jobs(images(photos), None, label="x4", image_format=None)
    assert targets(jobs, root)[-2:] == ["photos_x4/sub/c.tiff", "photos_x4/sub/deep/e.webp"]
    jobs = plan_jobs(discover((photos / "a.PNG",)), None, label="x1.5", image_format=None)
    assert targets(jobs, root) == ["photos/a_x1.5.PNG"]


def test_the_current_folder_has_a_name_too(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    jobs = plan_jobs(discover((Path(),)), None, label="x2", image_format=None)
    assert targets(jobs, photos.parent)[0] == "photos_x2/a.PNG"


def test_named_output(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = [photos / "a.PNG"]
    plan = {
        (photos,): ["a.PNG", "b.jpg", "ünï côde.jpeg", "sub/c.tiff", "sub/deep/e.webp"],
        (photos / "sub", photos / "a.PNG"): ["sub/c.tiff", "sub/deep/e.webp", "a_x4.PNG"],
    }
    for inputs, expected in plan.items():
        jobs = plan_jobs(images(*inputs), out, label="x4", image_format=None)
        assert targets(jobs, out) == expected
    jobs = plan_jobs(discover(tuple(one)), tmp_path / "my.tif", label="x4", image_format=None)
    assert jobs == [Job(one[0], tmp_path / "my.tif", "tiff")]


@pytest.mark.parametrize(
    ("image_format", "expected"),
    [("jpeg", "a_x4.jpg"), ("png", "a_x4.PNG"), ("tiff", "a_x4.tif")],
)
def test_format_decides_the_suffix(photos: Path, image_format: str, expected: str) -> None:
    jobs = plan_jobs(discover((photos / "a.PNG",)), None, label="x4", image_format=image_format)
    assert targets(jobs, photos) == [expected]


def test_a_name_that_is_no_images_becomes_png(photos: Path) -> None:
    job = plan_jobs(discover((photos / "notes.txt",)), None, label="x4", image_format=None)[0]
    assert (job.target.name, job.image_format) == ("notes_x4.png", "png")


def test_images_that_would_become_one_file_fail_and_the_others_are_done(photos: Path) -> None:
    (photos / "a.jpg").write_bytes(b"")
    (photos / "a.webp").write_bytes(b"")
    sources = images(photos)
    jobs = plan_jobs(sources, None, label="x4", image_format="png")
    assert len(jobs) == len(sources)
    rivals = [job for job in jobs if job.source.stem == "a" and job.source.parent == photos]
    assert len(rivals) == 3
    for job in jobs:
        assert (job.settled is not None) == (job in rivals)
        if job.settled:
            assert job.settled.state is State.FAILED
            assert "would both become" in job.settled.reason
            assert str(job.source) in job.settled.reason
    alone = images(*(photos / f"a.{suffix}" for suffix in ("PNG", "jpg", "webp")))
    with pytest.raises(UsageError, match="would both become"):
        plan_jobs(alone, None, label="x4", image_format="png")


def test_an_input_is_never_replaced(photos: Path) -> None:
    with pytest.raises(UsageError, match="is an input"):
        plan_jobs(discover((photos,)), photos, label="x4", image_format=None)
    (photos.parent / "alias").symlink_to(photos)
    with pytest.raises(UsageError, match="is an input"):
        plan_jobs(discover((photos,)), photos.parent / "alias", label="x4", image_format=None)


def test_one_name_for_several_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names one image"):
        plan_jobs(discover((photos,)), tmp_path / "out.png", label="x4", image_format=None)


@pytest.mark.parametrize("suffix", [".avi", ".ts", ".WMV", ".flv"])
def test_a_named_clip_that_cannot_be_written_is_refused(photos: Path, suffix: str) -> None:
    clip = photos / "clip.avi"
    clip.write_bytes(b"")
    out = photos.parent / f"out{suffix}"
    line = f"out{suffix}: srcli writes .mp4, .m4v, .mov, .mkv, .webm"
    for named in (clip, photos / "b.jpg"):
        with pytest.raises(UsageError, match=line):
            plan_jobs(discover((named,), clips=True), out, label="x4", image_format=None)
    out.mkdir()  # a folder may be called so
    (job,) = plan_jobs(discover((clip,), clips=True), out, label="x4", image_format=None)
    assert job.target == out / "clip_x4.mkv"


def test_a_space_in_percent_signs_is_no_number(tmp_path: Path) -> None:
    root = tmp_path / "saved"
    root.mkdir()
    for name in ("my%20dance.mp4", "my%20dog.jpg", "red%20door.jpg"):
        (root / name).write_bytes(b"")
    jobs = plan_jobs(discover((root,), clips=True), None, label="x4", image_format=None)
    assert [(job.target.name, job.image_format) for job in jobs] == [
        ("my%20dance.mp4", CLIP),
        ("my%20dog.jpg", "jpeg"),
        ("red%20door.jpg", "jpeg"),
    ]
    one = discover((root / "my%20dance.mp4",), clips=True)
    (job,) = plan_jobs(one, None, label="x4", image_format=None)
    assert job.target == root / "my%20dance_x4.mp4"
    one = discover((root / "red%20d.png",), clips=True)  # nothing is called so: a pattern
    (job,) = plan_jobs(one, None, label="x4", image_format=None)
    assert (job.target, job.image_format) == (tmp_path / "saved_x4.mp4", CLIP)
