"""Inputs by the million: planned and journalled in memory that a small machine has."""

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 250_000  # a million takes minutes: docs/cluster.md has its figures
MOST = 200  # MB
PROGRAM = """
import sys, time
from pathlib import Path
from srcli.jobs.discover import Source
from srcli.jobs.plan import plan_jobs
from tests.jobs.journalling import RUN, make, run_journal

folder, count, done = Path(sys.argv[1]), int(sys.argv[2]), 20
root, out = folder / "in", folder / "out"
began = time.monotonic()

def stated(what):
    global began
    print(f"{what}: {time.monotonic() - began:.0f} s,", end=" ")
    began = time.monotonic()

sources = [Source(root / f"{n // 1000:04}" / f"scan{n:07}.png", root) for n in range(count)]
for source in sources[:done]:
    source.path.parent.mkdir(parents=True, exist_ok=True)
    source.path.write_bytes(b"scan")
jobs = plan_jobs(sources, out, label="x4", image_format=None)
del sources
stated("planned")
with run_journal(jobs) as journal:
    assert {verdict.state for verdict in journal.verdicts} == {"missing"}
    journal.begin(RUN, jobs)
    for job in jobs[:done]:
        make(journal, job)
    journal.end("stopped")
del journal
stated("journalled")
with run_journal(jobs) as journal:
    states = [verdict.state for verdict in journal.verdicts]
    assert states.count("done") == done, states[:30]
    todo = [verdict.job for verdict in journal.verdicts if verdict.state != "done"]
    journal.begin(RUN, todo)
    journal.end("stopped")
stated("continued")
size = (out / ".srcli" / "journal.sqlite").stat().st_size
print(f"journal: {size / 1e6:.0f} MB")
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_quarter_of_a_million_inputs_fits_in_200_mb(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(COUNT)],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    *told, kilobytes = ended.stdout.splitlines()
    sys.stdout.write(f"{' '.join(told)}, memory: {int(kilobytes) / 1000:.0f} MB\n")
    assert int(kilobytes) / 1000 <= MOST
