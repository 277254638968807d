"""Temporary files: abandoned ones are removed, ones being written stay."""

import os
import subprocess
import sys
import time
from pathlib import Path

from srcli.atomic import atomic_file, process_place
from srcli.jobs.resume import remove_leftovers


def test_leftovers_of_dead_runs_are_removed(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    gone, here = process.stdout.strip(), process_place()
    dead = tmp_path / f".x.png.{gone}-{here}-0abc.srcli-tmp"
    earlier = tmp_path / f".x.png.{os.getpid()}-{here}-0abc.srcli-tmp"
    living = tmp_path / f".x.png.{os.getppid()}-{here}-0abc.srcli-tmp"
    other = tmp_path / ".x.png.srcli-tmp"
    for path in (dead, earlier, living, other):
        path.write_bytes(b"half")
    assert remove_leftovers([tmp_path]) == 2
    assert sorted(tmp_path.iterdir()) == sorted([living, other])


def test_what_other_machines_and_containers_write_is_left_to_them(tmp_path: Path) -> None:
    """Their process numbers mean nothing here: 1 is ours, or nobody's."""
    numbers = (os.getpid(), 1, 2**22 + 5)
    writing = [tmp_path / f".x.png.{number}-00000000-0abc.srcli-tmp" for number in numbers]
    older = [tmp_path / f".x.png.{number}-0abcdef0.srcli-tmp" for number in numbers]
    for path in (*writing, *older):
        path.write_bytes(b"half")
    assert remove_leftovers([tmp_path]) == 0
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (*writing, *older):
        os.utime(path, (two_days_ago, two_days_ago))
    assert remove_leftovers([tmp_path]) == 6


def test_a_killed_writers_file_is_swept(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from srcli.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.png"], check=False)
    (left,) = tmp_path.iterdir()
    with atomic_file(tmp_path / "b.png") as stream:
        stream.write(b"half")
        (ours,) = (path for path in tmp_path.iterdir() if path != left)
        assert ours.name.split(".")[-2].split("-")[1] == left.name.split(".")[-2].split("-")[1]
    assert remove_leftovers([tmp_path]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]
