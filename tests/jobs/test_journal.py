"""The journal's rows and how jobs are classified by them, without any network."""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from srcli.errors import FolderBusy, JournalError
from srcli.jobs.identity import Identity, digest, identity_of
from srcli.jobs.job import Job
from srcli.jobs.journal import Journal, journal_path
from srcli.jobs.resume import OutputState
from srcli.jobs.settings import Settings
from srcli.jobs.verify import Condition, check_quickly
from tests.jobs.journalling import RUN, SETTINGS, make, run_journal


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    made: list[Job] = []
    for name in ("a.png", "b.png", "sub/c.png"):
        source = tmp_path / "in" / name.replace("/", "_")
        source.write_bytes(name.encode())
        made.append(Job(source, out / name, "png", out))
    return made


def standings(jobs: list[Job], settings: Settings = SETTINGS) -> list[OutputState]:
    with run_journal(jobs, settings) as led:
        return [verdict.state for verdict in led.verdicts]


@pytest.fixture
def made(jobs: list[Job]) -> list[Job]:
    """All three done by an earlier run."""
    with run_journal(jobs) as led:
        led.begin(RUN, jobs)
        for job in jobs:
            make(led, job)
        led.end("finished")
    return jobs


def test_what_is_done_is_known(made: list[Job]) -> None:
    assert standings(made) == [OutputState.DONE] * 3
    journal = Journal(made[0].folder, create=False)
    entry = journal.entries()[Path("sub/c.png")]
    assert entry.state == "done"
    assert entry.output is not None
    assert entry.output.sha256 == digest(made[2].target)
    assert entry.origin is not None
    assert entry.origin.sha256 == digest(made[2].source)
    assert (entry.width, entry.height) == (4, 3)
    last = journal.last_run()
    assert last is not None
    assert last.outcome == "finished"
    journal.close()


def test_what_was_only_planned_is_to_do(jobs: list[Job]) -> None:
    with run_journal(jobs) as led:
        led.begin(RUN, jobs)
        make(led, jobs[0])
        led.failed(jobs[1], "damaged")
    assert standings(jobs) == [OutputState.DONE, OutputState.MISSING, OutputState.MISSING]
    journal = Journal(jobs[0].folder, create=False)
    conditions = [i.condition for i in check_quickly(jobs[0].folder, journal.entries().values())]
    assert conditions == [Condition.SOUND, Condition.FAILED, Condition.PENDING]
    journal.close()


def test_killed_before_it_got_its_name(jobs: list[Job]) -> None:
    with run_journal(jobs) as led:
        led.begin(RUN, jobs)
        make(led, jobs[0], named=False)
    assert standings(jobs)[0] is OutputState.MISSING


def test_killed_after_it_got_its_name(jobs: list[Job]) -> None:
    with run_journal(jobs) as led:
        led.begin(RUN, jobs)
        make(led, jobs[0], marked=False)
    with run_journal(jobs) as led:
        assert led.verdicts[0].state is OutputState.DONE
        led.begin(RUN, jobs[1:])
    journal = Journal(jobs[0].folder, create=False)
    assert journal.entries()[Path("a.png")].state == "done"
    journal.close()


def test_killed_while_an_older_one_was_replaced(made: list[Job]) -> None:
    other = replace(SETTINGS, effort="exact")
    made[0].source.write_bytes(b"another image")
    with run_journal(made, other) as led:
        led.begin(RUN, made)
        make(led, made[0], named=False)
    for _ in range(2):  # and killed again before anything was done
        with run_journal(made, other) as led:
            assert led.verdicts[0].state is OutputState.MISSING
            led.begin(RUN, made)


def test_a_deleted_output_is_made_again(made: list[Job]) -> None:
    made[1].target.unlink()
    with run_journal(made) as led:
        assert [v.state for v in led.verdicts] == [
            OutputState.DONE,
            OutputState.MISSING,
            OutputState.DONE,
        ]
        assert led.verdicts[1].reason == "was deleted since"


def test_an_altered_output_is_noticed(made: list[Job]) -> None:
    content = bytearray(made[0].target.read_bytes())
    content[3] ^= 1
    made[0].target.write_bytes(bytes(content))
    assert standings(made)[0] is OutputState.ALTERED


def test_a_touched_file_is_the_same(made: list[Job]) -> None:
    for path in (made[0].target, made[1].source):
        os.utime(path, ns=(1, 1))
    with run_journal(made) as led:
        assert {v.state for v in led.verdicts} == {OutputState.DONE}
        led.begin(RUN, [])
    with run_journal(made) as led:
        assert all(not v.stale or v.job in made for v in led.verdicts)


def test_a_changed_input_is_noticed(made: list[Job]) -> None:
    made[0].source.write_bytes(b"a.pnG")
    os.utime(made[0].source, ns=(5, 5))
    assert standings(made) == [OutputState.INPUT_CHANGED, OutputState.DONE, OutputState.DONE]


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"weights": "1" * 64},
        {"size": "w200"},
        {"effort": "exact"},
        {"precision": "fp32"},
        {"device": "cuda"},
        {"tile": "64"},
        {"quality": 90},
        {"metadata": "stripped"},
    ],
)
def test_every_setting_counts(made: list[Job], change: dict[str, object]) -> None:
    other = replace(SETTINGS, **change)  # type: ignore[arg-type]
    with run_journal(made, other) as led:
        assert {v.state for v in led.verdicts} == {OutputState.SETTINGS_CHANGED}
        assert next(iter(change)) in led.verdicts[0].reason


def test_settings_are_all_covered() -> None:
    covered = {"model", "weights", "size", "effort", "precision", "device", "tile", "quality"}
    assert set(vars(SETTINGS)) == covered | {"metadata"}


def test_an_output_of_others_is_left_alone(jobs: list[Job]) -> None:
    jobs[0].target.parent.mkdir()
    jobs[0].target.write_bytes(b"precious")
    assert standings(jobs)[0] is OutputState.UNTRACKED
    with run_journal(jobs) as led:
        led.begin(RUN, jobs[1:])
    assert standings(jobs)[0] is OutputState.UNTRACKED


def test_the_folder_can_be_moved(made: list[Job], tmp_path: Path) -> None:
    (tmp_path / "out").rename(tmp_path / "moved")
    there = tmp_path / "moved"
    moved = [Job(job.source, there / job.inside, "png", there) for job in made]
    assert standings(moved) == [OutputState.DONE] * 3


def test_names_that_are_no_text(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(b"caf\xe9.png"))
    sources = [tmp_path / odd, tmp_path / "b.png"]
    for source in sources:
        source.write_bytes(b"x")
    jobs = [Job(s, tmp_path / "out" / s.name, "png", tmp_path / "out") for s in sources]
    with run_journal(jobs) as led:
        led.begin(RUN, jobs)
        for job in jobs:
            make(led, job)
    assert standings(jobs) == [OutputState.DONE] * 2


def test_a_single_input_keeps_no_journal(jobs: list[Job]) -> None:
    with run_journal(jobs[:1]) as led:
        led.begin(RUN, jobs[:1])
        make(led, jobs[0])
    assert not journal_path(jobs[0].folder).exists()


def test_but_writes_into_one_that_is_there(made: list[Job]) -> None:
    made[0].target.unlink()
    with run_journal(made[:1]) as led:
        led.begin(RUN, made[:1])
        make(led, made[0])
    assert standings(made) == [OutputState.DONE] * 3


def test_a_second_run_is_refused(made: list[Job]) -> None:
    with run_journal(made), pytest.raises(FolderBusy, match=rf"process {os.getpid()}; hint: wait"):
        run_journal(made)
    run_journal(made).close()


def test_a_dead_run_holds_nothing(made: list[Job]) -> None:
    lock = made[0].folder / ".srcli" / "lock"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom srcli.locks import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1]), wait=False, on_wait=print)\n"
        "print('held', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, lock], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(FolderBusy, match=f"process {process.pid}"):
        run_journal(made)
    process.kill()
    process.communicate()
    run_journal(made).close()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one", b"SQLite"])
def test_a_damaged_journal_is_said(made: list[Job], content: bytes) -> None:
    path = journal_path(made[0].folder)
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="move it away"):
        run_journal(made)


def test_a_journal_of_the_future_is_refused(made: list[Job]) -> None:
    database = sqlite3.connect(journal_path(made[0].folder))
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="version 99"):
        run_journal(made)


def test_it_is_in_wal_mode(made: list[Job]) -> None:
    database = sqlite3.connect(journal_path(made[0].folder))
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_it_is_read_where_nothing_can_be_written(
    made: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk mounted read-only: SQLite may not even put its index beside it."""
    there = journal_path(made[0].folder).parent
    before = sorted(there.iterdir())
    monkeypatch.setattr(os, "access", lambda *_: False)
    there.chmod(0o555)
    try:
        journal = Journal(made[0].folder, create=False)
        assert len(journal.entries()) == 3
        assert sorted(there.iterdir()) == before
        with pytest.raises(OSError, match="cannot be written"):
            journal.end("finished")
        journal.close()
    finally:
        there.chmod(0o755)


def test_identity_of_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert identity_of(tmp_path / "pipe") is None
    assert identity_of(tmp_path) is None
    (tmp_path / "f").write_bytes(b"abc")
    found = identity_of(tmp_path / "f")
    assert found == Identity(3, (tmp_path / "f").stat().st_mtime_ns)
