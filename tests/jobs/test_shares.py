"""Journals where the file system has no shared memory maps, or no locks."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from srcli.errors import JournalError
from srcli.jobs.job import Job
from srcli.jobs.open_database import _Way
from tests.conftest import ROOT
from tests.jobs.journalling import RUN, run_journal

PROGRAM = """
import os, sys, time
from pathlib import Path
from srcli.errors import FolderBusy
from srcli.jobs.journal import Journal
from srcli.jobs.job import Job
from tests.jobs.journalling import RUN, make, run_journal

folder, do = Path(sys.argv[1]), sys.argv[2]
jobs = [Job(folder / f"{n}.txt", folder / "out" / f"{n}.png", "png", folder / "out") for n in "abc"]

def run(then=None):
    try:
        with run_journal(jobs) as led:
            print(*[verdict.state for verdict in led.verdicts], flush=True)
            led.begin(RUN, jobs)
            make(led, jobs[0])
            make(led, jobs[1], marked=False)
            if then:
                then()
            led.end("finished")
    except FolderBusy as error:
        print(error)

def read():
    journal = Journal(folder / "out", create=False)
    print(*[entry.state for entry in journal.entries().values()])
    journal.close()

if do == "first":
    run(lambda: (print("begun", flush=True), sys.stdin.read()))
elif do == "second":
    read()
    run()
else:
    if not os.fork():
        run(lambda: os._exit(0))
    os.wait()
    read()
    run()
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that refuses maps or locks."""
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        pytest.skip("needs Linux and cc")
    library = tmp_path_factory.mktemp("shim") / "no_locks.so"
    source = Path(__file__).with_name("no_locks.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


REFUSALS = {
    "no maps": {"SHIM_MMAP": str(errno.ENODEV)},
    "no locks": {"SHIM_LOCK": str(errno.ENOLCK)},
    "neither": {"SHIM_LOCK": str(errno.EAGAIN), "SHIM_MMAP": str(errno.ENODEV)},
}


def start(folder: Path, do: str, shim: Path, refusal: str) -> subprocess.Popen[str]:
    """The program on such a file system."""
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), do],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            **REFUSALS[refusal],
            "PYTHONPATH": str(ROOT),
            "LD_PRELOAD": str(shim),
        },
    )


@pytest.mark.parametrize("refusal", REFUSALS)
def test_journal_works_on_a_share(shim: Path, tmp_path: Path, refusal: str) -> None:
    process = start(tmp_path, "all", shim, refusal)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert out.splitlines() == [
        "missing missing missing",
        "done writing pending",
        "done done missing",
    ]
    out = tmp_path / "out"
    jobs = [Job(tmp_path / f"{name}.txt", out / f"{name}.png", "png", out) for name in "abc"]
    with run_journal(jobs) as journal:  # and on a disk of its own
        assert [verdict.state for verdict in journal.verdicts] == ["done", "done", "missing"]
        journal.begin(RUN, jobs)


def test_second_run_on_a_share_is_kept_out(shim: Path, tmp_path: Path) -> None:
    first = start(tmp_path, "first", shim, "no locks")
    assert first.stdout is not None
    assert [first.stdout.readline() for _ in range(2)][1] == "begun\n"
    second, _ = start(tmp_path, "second", shim, "no locks").communicate(timeout=300)
    states, refusal = second.splitlines()
    assert states == "done writing pending"
    assert f"in use by another run, process {first.pid}" in refusal
    first.communicate("")
    assert first.returncode == 0


def test_a_journal_that_cannot_be_opened_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    jobs = [Job(tmp_path / name, out / name, "png", out) for name in ("a.png", "b.png")]
    monkeypatch.setattr("srcli.jobs.open_database._WRITING", (_Way("mode=rwc&vfs=none-such"),))
    with run_journal(jobs) as journal, pytest.raises(JournalError, match="another disk with -o"):
        journal.begin(RUN, jobs)
    assert list(out.iterdir()) == []
