"""The files of `srcli bench`, where names, disks and machines are not as one would wish."""

import csv
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.benchmark.machine import describe_machine
from tests.benchmark.conftest import Here


@pytest.fixture
def hr(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder, whose name is no text, of an image whose name is none, and a good one."""
    folder = tmp_path / os.fsdecode(b"f\xfc")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("names must be text on this file system")
    pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for name in (b"Zo\xeb.png", b"good.png"):
        Image.fromarray(pixels).save(folder / os.fsdecode(name))
    return folder


def test_names_that_are_no_text_are_written_as_codes(hr: Path, tmp_path: Path, bench_here: Here):
    (hr / os.fsdecode(b"bad\xff.png")).write_bytes(b"")
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "csv", "md", "png")}
    code, out, err = bench_here(
        *("--hr", hr, "-m", "bicubic", "--repeats", "1", "--pictures", "--json", files["json"]),
        *("--csv", files["csv"], "--markdown", files["md"], "--plot", files["png"]),
    )
    assert (code, err.startswith("left out: ")) == (1, True)
    run = json.loads(files["json"].read_text())
    assert run["dataset"] == r"f\udcfc"
    assert {row["picture"] for row in run["rows"]} == {r"Zo\udceb", "good"}
    assert list(run["failed"]) == [r"bad\udcff"]
    rows = csv.DictReader(files["csv"].read_text().splitlines())
    assert {row["picture"] for row in rows} == {r"Zo\udceb", "good"}
    assert r"| Zo\udceb | bicubic |" in files["md"].read_text()
    assert r"Zo\udceb" in out
    with Image.open(files["png"]) as plot:
        plot.verify()
    code, out, _ = bench_here("--hr", hr, "-m", "bicubic", "--repeats", "1", "--json", "-")
    assert {row["picture"] for row in json.loads(out)["rows"]} == {r"Zo\udceb", "good"}


@contextmanager
def files_up_to(size: int) -> Generator[None]:
    """No file may grow beyond so many bytes, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_be_written_leaves_the_older_and_the_others(
    tiny: Path, tmp_path: Path, bench_here: Here
):
    results = tmp_path / "results"
    results.mkdir()
    older, other = results / "run.json", results / "run.csv"
    older.write_text("older")
    words = ("-d", "B100", "-m", "bicubic", "--repeats", "1", "--data-root", tiny)
    with files_up_to(1500):
        code, out, err = bench_here(*words, "--json", older, "--csv", other)
    assert (code, err) == (2, f"srcli: cannot write {older}: File too large\n")
    assert "bicubic" in out
    assert older.read_text() == "older"
    assert len(other.read_text().splitlines()) == 4
    assert sorted(results.iterdir()) == [other, older]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_links_and_pipes_stay_what_they_are(tiny: Path, tmp_path: Path, bench_here: Here):
    real, link, pipe = (tmp_path / name for name in ("real.json", "link.json", "pipe.csv"))
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    real.write_text("older")
    link.symlink_to(real)
    words = ("-d", "B100", "-m", "bicubic", "--repeats", "1", "--data-root", tiny)
    code, _, err = bench_here(*words, "--json", link, "--csv", pipe)
    told = os.read(reader, 10_000)
    os.close(reader)
    assert code == 0, err
    assert link.is_symlink()
    assert json.loads(real.read_text())["dataset"] == "B100"
    assert pipe.is_fifo()
    assert len(told.splitlines()) == 4


def test_images_of_one_stem_are_told_apart(
    tmp_path: Path, rng: np.random.Generator, bench_here: Here
):
    folder = tmp_path / "mixed"
    folder.mkdir()
    pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for name in ("a.png", "a.bmp", "b.png"):
        Image.fromarray(pixels).save(folder / name)
    for name in ("c.png", "c.jpg"):
        (folder / name).write_bytes(b"")
    code, out, _ = bench_here("--hr", folder, "-m", "bicubic", "--repeats", "1", "--json", "-")
    assert code == 1
    run = json.loads(out)
    a = [str(folder / name) for name in ("a.bmp", "a.png")]
    assert [row["picture"] for row in run["rows"]] == [*a, "b"]
    assert list(run["failed"]) == [str(folder / name) for name in ("c.jpg", "c.png")]


def test_a_machine_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_machine(torch.device("cpu"), torch.float32).commit == ""
