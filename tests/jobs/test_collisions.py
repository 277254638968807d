"""Patterns used a second time, and inputs that must never be lost."""

import os
from pathlib import Path

import pytest

from srcli.errors import UsageError
from srcli.jobs.conflicts import ExistingResults
from srcli.jobs.discover import discover
from srcli.jobs.identity import identity_of
from srcli.jobs.job import CLIP, Job
from srcli.jobs.journal import RunRecord
from srcli.jobs.naming import NamePattern
from srcli.jobs.plan import default_folder, plan_jobs
from srcli.jobs.resume import OutputState, classify_output
from srcli.jobs.run_journal import OutputRecord, RunJournal
from srcli.jobs.settings import Settings

SETTINGS = Settings("adaformer", "0" * 64, "x4", "balanced")
RUN = RunRecord(os.getpid(), "0", "adaformer", "0" * 64, "{}", "cpu, float32")


@pytest.fixture
def pattern(tmp_path: Path) -> Path:
    """Two photographs, found by what their names begin with."""
    folder = tmp_path / "g"
    folder.mkdir()
    for name in ("2024-a.jpg", "2024-b.png"):
        (folder / name).write_bytes(name.encode())
    return folder / "2024-*"


def plan(
    pattern: Path, label: str = "x4", *, overwrite: bool = False
) -> tuple[list[Job], list[str]]:
    said: list[str] = []
    jobs = plan_jobs(
        discover((pattern,), clips=True),
        None,
        label=label,
        image_format=None,
        existing=ExistingResults(overwrite),
        tell=said.append,
    )
    return jobs, said


def upscale(jobs: list[Job]) -> None:
    """Make results, and write them down, as a batch does."""
    with RunJournal(jobs, SETTINGS, wait=False, tell=print) as run_journal:
        run_journal.begin(RUN, jobs)
        for job in jobs:
            origin = identity_of(job.source)
            assert origin is not None
            job.target.write_bytes(b"larger " + job.source.read_bytes())
            run_journal.before_rename(job, OutputRecord(origin, 4, 3, 0.5))(job.target)
            run_journal.done(job)
        run_journal.end("finished")


def standings(jobs: list[Job]) -> list[OutputState]:
    with RunJournal(jobs, SETTINGS, wait=False, tell=print) as run_journal:
        return [verdict.state for verdict in run_journal.verdicts]


def test_the_same_pattern_goes_on(pattern: Path) -> None:
    first, said = plan(pattern)
    assert (len(first), said) == (2, [])
    upscale(first[:1])
    again, said = plan(pattern)
    assert again == first
    assert [line.split(": ")[0] for line in said] == [f"skipping {first[0].target}"]
    assert said[0].endswith(f": it is the result of {first[0].source}")
    upscale(again)
    again, said = plan(pattern)
    assert again == first
    assert standings(again) == [OutputState.DONE] * 2
    assert said[0].endswith("; 1 more input is a result, too")
    assert plan(pattern, overwrite=True)[0] == first


def test_results_of_another_size_are_left_out(pattern: Path) -> None:
    smaller, _ = plan(pattern, "x2")
    upscale(smaller)
    larger, said = plan(pattern, "x4")
    assert [job.source for job in larger] == [job.source for job in smaller]
    assert len(said) == 1
    alone, said = plan(smaller[0].target)  # a result may be taken further, if its name is given
    assert [job.source for job in alone] == [smaller[0].target]
    assert said == []
    smaller[0].target.write_bytes(b"retouched")
    assert smaller[0].target in [job.source for job in plan(pattern, "x4")[0]]


def test_a_photograph_that_bears_a_results_name_is_kept(pattern: Path) -> None:
    own = pattern.with_name("2024-a_x4.jpg")
    own.write_bytes(b"somebody's photograph")
    jobs, said = plan(pattern)
    assert [job.source.name for job in jobs] == ["2024-a.jpg", "2024-b.png"]
    assert [job.guarded for job in jobs] == [True, False]
    assert len(said) == 1
    assert standings(jobs) == [OutputState.UNTRACKED, OutputState.MISSING]
    with pytest.raises(UsageError, match=r"2024-a_x4.jpg is an input, and no journal lists it"):
        plan(pattern, overwrite=True)
    upscale(jobs[1:])
    with pytest.raises(UsageError, match="no journal lists it"):
        plan(pattern, overwrite=True)


def test_a_result_put_away_for_a_photograph_is_kept(pattern: Path) -> None:
    jobs, _ = plan(pattern)
    upscale(jobs)
    jobs[0].target.write_bytes(b"somebody's photograph")
    assert standings(plan(pattern)[0]) == [OutputState.UNTRACKED, OutputState.DONE]
    with pytest.raises(UsageError, match="no journal lists it"):
        plan(pattern, overwrite=True)


def test_results_among_a_folders_images(pattern: Path) -> None:
    folder = pattern.parent

    def named() -> list[Job]:
        names = NamePattern("{stem}_big.{ext}", 4, "x4", "adaformer", "exact")
        return plan_jobs(discover((folder,)), folder, label="x4", image_format="png", pattern=names)

    first = named()
    upscale(first)
    assert named() == first
    assert standings(named()) == [OutputState.DONE] * 2


@pytest.mark.parametrize(
    ("given", "otherwise"),
    [
        ("A.JPG", "A.jpg"),
        ("a\u0308.jpg", "\u00e4.jpg"),
    ],
)
def test_no_difference_of_case_or_composition_is_relied_on(
    tmp_path: Path, given: str, otherwise: str
) -> None:
    (tmp_path / given).write_bytes(b"")
    source = discover((tmp_path / given,))
    with pytest.raises(UsageError, match="is an input"):
        plan_jobs(source, tmp_path / otherwise, label="x4", image_format=None)


def test_files_apart_by_case_alone_may_be_inputs(tmp_path: Path) -> None:
    for name in ("A.JPG", "a.jpg", "A_X4.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system sees no difference of case")
    sources = discover((tmp_path / "A.JPG", tmp_path / "A_X4.jpg"))
    jobs = plan_jobs(sources, None, label="x4", image_format=None)
    assert [job.target.name for job in jobs] == ["A_x4.JPG", "A_X4_x4.jpg"]
    names = NamePattern("{stem}-{ext}.{ext}", 4, "x4", "adaformer", "exact")
    both = discover((tmp_path / "A.JPG", tmp_path / "a.jpg"))
    said: list[str] = []
    apart = plan_jobs(
        *(both, tmp_path / "out"), label="x4", image_format=None, pattern=names, tell=said.append
    )
    assert [job.target.name for job in apart] == ["A-JPG.JPG", "a-jpg.jpg"]
    assert ["differ in case or composition alone" in line for line in said] == [True]
    (tmp_path / "sub").mkdir()
    (tmp_path / "A.JPG").rename(tmp_path / "sub" / "A.JPG")  # now nothing says that "out" can too
    far = discover((tmp_path / "sub" / "A.JPG", tmp_path / "a.jpg"))
    with pytest.raises(UsageError, match="would both become"):
        plan_jobs(far, tmp_path / "out", label="x4", image_format=None)


def test_another_name_of_an_input_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "a_x4.jpg").hardlink_to(tmp_path / "b.jpg")
    both = discover((tmp_path / "a.jpg", tmp_path / "b.jpg"))
    with pytest.raises(UsageError, match=r"a_x4\.jpg is an input"):
        plan_jobs(both, None, label="x4", image_format=None)
    (tmp_path / "a_x4.jpg").unlink()
    (tmp_path / "a_x4.jpg").symlink_to(tmp_path / "b.jpg")
    with pytest.raises(UsageError, match=r"a_x4\.jpg is an input"):
        plan_jobs(both, None, label="x4", image_format=None)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("named", [None, "{stem}-{model}.{ext}"])
def test_long_names_of_what_moves(tmp_path: Path, suffix: str, named: str | None) -> None:
    name = "動" * 83 + suffix
    (tmp_path / name).write_bytes(b"GIF89a")
    pattern = NamePattern(named, 4, "x4", "adaformer", "exact") if named else None
    jobs = plan_jobs(
        discover((tmp_path,), clips=True),
        tmp_path / "out",
        label="x4",
        image_format=None,
        pattern=pattern,
    )
    assert len(jobs[0].target.name.encode()) <= 255
    assert identity_of(jobs[0].target) is None


def test_a_name_that_the_system_refuses_is_not_there(tmp_path: Path) -> None:
    job = Job(tmp_path / "a.mp4", tmp_path / ("x" * 300 + ".mp4"), CLIP)
    assert classify_output(job, None, "{}").state is OutputState.MISSING


def test_nothing_is_beside_the_root() -> None:
    root = Path(Path.cwd().anchor)
    with pytest.raises(UsageError, match="name an output folder with -o"):
        default_folder(root, "x4")
