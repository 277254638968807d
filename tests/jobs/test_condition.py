"""`srcli verify` on a folder's results."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.jobs.identity import digest, identity_of
from srcli.jobs.journal import Entry, Journal
from tests.cli.processes import srcli
from tests.jobs.journalling import RUN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two results of a run that ended."""
    planned: list[tuple[Path, Path]] = []
    for name in ("a.png", "b.png"):
        pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        planned.append((Path(name), tmp_path / "in" / name))
    (tmp_path / ".srcli").mkdir()
    journal = Journal(tmp_path, create=True)
    journal.begin(RUN, planned)
    for target, source in planned:
        now = identity_of(tmp_path / target)
        assert now is not None
        output = type(now)(now.size, now.mtime_ns, digest(tmp_path / target))
        journal.writing(
            Entry(target, source, "", settings="{}", origin=output, output=output,
                  width=40, height=30, seconds=0.0)
        )  # fmt: skip
        journal.done(target)
    journal.end("finished")
    journal.close()
    return tmp_path


def verify(folder: Path) -> tuple[int, dict[str, str]]:
    ended = srcli("verify", folder, "--json")
    outputs = json.loads(ended.stdout)["outputs"]
    return ended.returncode, {one["output"]: one["condition"] for one in outputs}


def test_results_that_a_later_run_has_not_come_to(folder: Path) -> None:
    """Planned again, or failed since: what an earlier run made is verified all the same."""
    journal = Journal(folder, create=True)
    journal.begin(RUN, [(Path(name), folder / "in" / name) for name in ("a.png", "b.png", "c.png")])
    journal.failed(Path("b.png"), "no memory")
    journal.close()
    assert verify(folder) == (0, {"a.png": "sound", "b.png": "sound"})
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (5, 5)).save(folder / "c.png")
    assert verify(folder) == (1, {"a.png": "damaged", "b.png": "sound", "c.png": "unknown"})


def test_what_is_gone(folder: Path) -> None:
    (folder / "a.png").unlink()
    assert verify(folder) == (1, {"a.png": "missing", "b.png": "sound"})


@pytest.mark.slow
def test_a_file_beyond_what_is_read_unasked(folder: Path) -> None:
    """No limit on inputs holds for results: a sparse TIFF of 5 GB, its image at the end."""
    Image.new("RGB", (40, 30), "red").save(folder / "small.tif")
    small = bytearray((folder / "small.tif").read_bytes())
    (folder / "small.tif").unlink()
    with (folder / "large.tif").open("wb") as file:
        file.write(small)
        file.truncate(5 << 30)
    assert verify(folder)[1]["large.tif"] == "unknown"
