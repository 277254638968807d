"""Streams that are closed, full or unread: the work is done, and one line says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from srcli.cli.main import run
from tests.cli.processes import ENVIRONMENT, FAST, srcli
from tests.forked_python import ForkedPython

MODEL = ("-m", "adaformer-s", "-s", "2", *FAST)
FULL = Path("/dev/full")
CLOSED = """
import os, sys
closed = [int(number) for number in sys.argv.pop(1).split(",")]
for number in closed:  # as an interpreter finds them that begins so
    os.close(number)
    setattr(sys, ("stdin", "stdout", "stderr")[number], None)
from srcli.cli.main import run
run()
"""


def started(*words: object, stdout: object = subprocess.PIPE, stderr: object = subprocess.PIPE,
            cwd: Path) -> subprocess.Popen[str]:  # fmt: skip
    return ForkedPython(
        [sys.executable, *map(str, words)], stdout=stdout, stderr=stderr, text=True, cwd=cwd,
        env=ENVIRONMENT,
    )  # fmt: skip


def made(photos: Path) -> set[str]:
    return {path.name for path in (photos.parent / "out").glob("*.png")}


@pytest.mark.parametrize("closed", ["0", "1", "2", "1,2", "0,1,2"])
def test_closed_streams_lead_nowhere(photos: Path, closed: str) -> None:
    words = ("upscale", "photos", "-o", "out", *MODEL)
    with started("-c", CLOSED, closed, *words, cwd=photos.parent) as process:
        said = process.communicate(timeout=240)
    assert (process.returncode, "Traceback" in "".join(said)) == (0, False), said
    assert made(photos) == {"a.png", "b.png"}


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("stream", "more"),
    [
        *(("stdout", ()), ("stdout", ("--json",)), ("stdout", ("--dry-run",))),
        *(("stderr", ()), ("stderr", ("--json",))),
    ],
)
def test_a_full_disk_behind_a_stream(photos: Path, stream: str, more: tuple[str, ...]) -> None:
    words = ("-m", "srcli", "upscale", "photos", "-o", "out", *MODEL, *more)
    with (
        FULL.open("w") as full,
        started(*words, cwd=photos.parent, **{stream: full}) as process,  # type: ignore[arg-type]
    ):
        said = "".join(filter(None, process.communicate(timeout=240)))
    assert process.returncode == 1, said
    assert "Traceback" not in said
    if stream == "stdout":
        line = "stdout: No space left on device: not everything could be printed"
        assert [line in one for one in said.splitlines()].count(True) == 1
    assert made(photos) == (set() if "--dry-run" in more else {"a.png", "b.png"})


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_version_that_cannot_be_printed(tmp_path: Path) -> None:
    with (
        FULL.open("w") as full,
        started("-m", "srcli", "--version", stdout=full, cwd=tmp_path) as process,
    ):
        _, said = process.communicate(timeout=240)
    assert process.returncode == 1
    assert said.startswith("srcli: stdout: No space left on device")


def test_a_reader_that_goes_away_does_not_stop_the_work(photos: Path) -> None:
    words = ("-m", "srcli", "upscale", "photos", "-o", "out", "--json", *MODEL)
    with started(*words, cwd=photos.parent) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert made(photos) == {"a.png", "b.png"}


def test_text_reaches_a_pipe_whole(photos: Path) -> None:
    ended = srcli("upscale", "photos", "-o", "out", "--json", *MODEL, cwd=photos.parent)
    assert [json.loads(line)["event"] for line in ended.stdout.splitlines()][-1] == "summary"


def test_a_batch_runs_in_a_process_that_checks_types(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As this one does: of the writer behind a stream, and of reports, too."""
    monkeypatch.setattr(sys, "argv", ["srcli", "upscale", str(photos), "-o", "out", *MODEL])
    monkeypatch.chdir(photos.parent)
    with pytest.raises(SystemExit) as ending:
        run()
    assert ending.value.code == 0
    assert made(photos) == {"a.png", "b.png"}
