"""Objects by the hundred thousand: listed, planned and journalled in bounded memory."""

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 100_000
MOST = 130  # MB
PROGRAM = """
import sys, time
from pathlib import Path

import fsspec
from srcli.jobs.discover import discover
from srcli.jobs.plan import plan_jobs
from srcli.jobs.run_journal import RunJournal
from srcli.url_paths import path_of
from tests.jobs.journalling import RUN, SETTINGS

count, file = int(sys.argv[1]), Path(sys.argv[2])

class Many(fsspec.AbstractFileSystem):
    protocol = "many"
    listed = 0

    def info(self, path, **_):
        if path in ("host/in", "host/out"):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path, detail=True, **_):
        Many.listed += 1
        if path == "host/in":
            return [
                {"name": f"host/in/{n:04}", "size": 0, "type": "directory"}
                for n in range(count // 1000)
            ]
        if path == "host/out":
            return []
        folder = int(path[-4:])
        return [
            {"name": f"{path}/scan{n:07}.png", "size": n, "type": "file", "ETag": f'"{n:032x}"'}
            for n in range(1000 * folder, 1000 * (folder + 1))
        ]

fsspec.register_implementation("many", Many)

def memory():
    status = open("/proc/self/status")
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1000

began = time.monotonic()
sources = discover([path_of("many://host/in")])
assert len(sources) == count and Many.listed == 1 + count // 1000
jobs = plan_jobs(sources, path_of("many://host/out"), label="x4", image_format=None)
del sources
with RunJournal(jobs, SETTINGS, wait=False, tell=print, named=file) as journal:
    assert {verdict.state for verdict in journal.verdicts} == {"missing"}
    journal.begin(RUN, jobs)
    journal.end("stopped")
size = file.stat().st_size / 1e6
print(f"{count} objects, {time.monotonic() - began:.0f} s, a journal of {size:.0f} MB")
print(memory())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_hundred_thousand_objects_fit_in_130_mb(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(COUNT), str(tmp_path / "run.sqlite")],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    told, megabytes = ended.stdout.splitlines()
    sys.stdout.write(f"{told}, {float(megabytes):.0f} MB\n")
    assert float(megabytes) <= MOST
