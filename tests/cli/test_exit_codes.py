"""Exit codes where disk or memory do not suffice."""

import errno
import sqlite3
from importlib import import_module
from pathlib import Path

import pytest
import torch

from srcli.errors import ExitCode, NoRoom, UsageError, cannot_write
from srcli.jobs.job import Job
from tests.jobs.journalling import RUN, run_journal

entry = import_module("srcli.cli.main")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        OSError(errno.ENOSPC, "No space left on device", "out/a.png"),
        NoRoom("the results will take about 9 MB"),
    ],
)
def test_want_of_room_is_one_line_and_exit_code_4(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(entry.main, "main", fail)
    assert entry._exit_code() == ExitCode.NO_ROOM == 4
    said = capsys.readouterr().err
    assert said.startswith("srcli: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), PermissionError(13, "denied")])
def test_other_errors_stay_what_they_are(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(entry.main, "main", fail)
    with pytest.raises(type(error)):
        entry._exit_code()


def test_a_folder_that_cannot_be_written_is_told_from_a_full_disk() -> None:
    assert isinstance(cannot_write("out", OSError(errno.ENOSPC, "full")), NoRoom)
    assert isinstance(cannot_write("out", OSError(errno.EACCES, "denied")), UsageError)


def test_a_journal_that_finds_the_disk_full_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(tmp_path / name, tmp_path / "out" / name, "png") for name in ("a.png", "b.png")]
    connect = sqlite3.connect

    def cramped(*arguments: object, **named: object) -> sqlite3.Connection:
        database = connect(*arguments, **named)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 1")  # SQLite's own full disk
        return database

    monkeypatch.setattr("srcli.jobs.journal.sqlite3.connect", cramped)
    with run_journal(jobs) as journal, pytest.raises(NoRoom, match="full"):
        journal.begin(RUN, jobs)
