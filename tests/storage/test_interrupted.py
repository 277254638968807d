"""Runs into storage that are stopped or killed, by `file://` URLs."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from srcli.atomic import process_place
from srcli.jobs.journal import Journal
from srcli.locks import FolderLock
from tests.cli.processes import ENVIRONMENT, SIGNALLED, folder_of, hashes, require_whole, srcli
from tests.forked_python import ForkedPython, run_forked
from tests.storage.in_memory import OWN_COPIES, PROGRAM, SMALL

COUNT = 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_ends_early_is_continued(
    tmp_path: Path, rng: np.random.Generator, number: signal.Signals
) -> None:
    folder_of(tmp_path / "in", rng, COUNT, (12, 16))
    plain = srcli("upscale", tmp_path / "in", "-o", tmp_path / "plain", *SMALL)
    assert plain.returncode == 0
    journal, copies = tmp_path / "run.sqlite", tmp_path / "tmp"
    here = {**ENVIRONMENT, "TMPDIR": str(copies)}
    words = [f"file://{tmp_path / 'in'}", "-o", f"file://{tmp_path / 'out'}", *SMALL]
    words += ["--journal", str(journal)]
    stopped = run_forked(
        ["-c", OWN_COPIES + SIGNALLED, int(number), 3, "upscale", *words], env=here
    )
    assert stopped.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    there = hashes(tmp_path / "out")
    assert len(there) < COUNT
    told = srcli("status", journal).stdout
    assert "altered" not in told
    for name in there:
        require_whole(tmp_path / "out" / name)
    assert bool(list(copies.iterdir())) == (number == signal.SIGKILL)
    (tmp_path / "out" / f".00.png.{stopped_process()}-{process_place()}-0.srcli-tmp").touch()
    again = run_forked(["-c", PROGRAM, "upscale", *words], env=here)
    assert again.returncode == 0, again.stderr
    assert hashes(tmp_path / "out") == hashes(tmp_path / "plain")
    assert list((tmp_path / "out").glob(".*")) == list(copies.iterdir()) == []
    opened = Journal(journal, create=False, file=journal)
    assert {entry.state for entry in opened.entries().values()} == {"done"}
    opened.close()


def stopped_process() -> int:
    """Number of a process that has ended."""
    with ForkedPython([sys.executable, "-c", "pass"]) as process:
        process.wait()
    return process.pid


def test_two_runs_with_one_journal(tmp_path: Path, rng: np.random.Generator) -> None:
    folder_of(tmp_path / "in", rng, 2, (12, 16))
    journal = tmp_path / "run.sqlite"
    words = [f"file://{tmp_path / 'in'}", "--journal", journal, *SMALL]
    lock = FolderLock(tmp_path / "run.sqlite.lock", wait=False, on_wait=print)
    try:
        journal.touch()
        refused = srcli("upscale", *words)
    finally:
        lock.release()
    assert refused.returncode == 2
    assert f"{journal} is in use by another run" in refused.stderr
    assert srcli("upscale", *words).returncode == 0
