"""Batches in a bucket, `srcli upscale` on them in a process of its own, and its journal."""

import os
import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

from srcli.jobs.journal import Entry, Journal
from tests.cluster import batches
from tests.cluster.batches import SMALL, contents, images
from tests.forked_python import run_forked
from tests.storage.in_memory import PROGRAM
from tests.storage.s3_server import Bucket

__all__ = ["expected", "fill", "journal", "run_s3", "states", "upscale", "words_of"]


def fill(bucket: Bucket, folder: Path, count: int, *, bad: int = 0) -> None:
    """Put images of noise into `in/`, as they are in a folder here too."""
    images(folder, count, bad=bad)
    for path in folder.iterdir():
        bucket.put(f"in/{path.name}", path.read_bytes())


def upscale(*words: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return run_forked(
        ["-c", PROGRAM, "upscale", *words], cwd=cwd, env={**os.environ, "COLUMNS": "200", **more}
    )


def expected(folder: Path) -> dict[str, bytes]:
    """The results of a folder, made without storage."""
    out = folder.with_name("plain")
    upscale(folder.name, "-o", out.name, *SMALL, cwd=folder.parent)
    found = contents(out)
    shutil.rmtree(out)
    return found


def words_of(bucket: Bucket, *more: object) -> list[str]:
    """`in/` to `out/`, with the journal in the current folder."""
    named = (bucket.url("in"), "-o", bucket.url("out"), "--journal", "run.sqlite")
    return list(map(str, (*named, *SMALL, *more)))


def run_s3(
    bucket: Bucket, *more: object, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command with `words_of`, ended; with Ray in an interpreter of its own."""
    environment = {"TMPDIR": str(cwd / "tmp"), "RAY_TMPDIR": "/tmp", **environment}  # short
    run = partial(batches.upscale, None) if "--cluster" in more else upscale
    return run(*words_of(bucket, *more), cwd=cwd, **environment)


def journal(cwd: Path) -> dict[Path, Entry]:
    """Everything that the journal knows."""
    path = cwd / "run.sqlite"
    opened = Journal(path, create=False, file=path)
    try:
        return opened.entries()
    finally:
        opened.close()


def states(cwd: Path) -> Counter[str]:
    """Number of results in each state."""
    return Counter(entry.state for entry in journal(cwd).values())
