"""Results of a batch are encoded by several threads at once, and the journal has them all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.jobs.journal import Journal

MEETING_WRITERS = """
import sys, threading
from srcli.cli.main import main
from srcli.jobs import image_stages, run_batch

meeting = threading.Barrier(3, timeout=60)
write_image = image_stages.write_image

def write(*given, **options):
    meeting.wait()
    return write_image(*given, **options)

image_stages.write_image = write
run_batch.usable_cores = lambda: 6
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_three_results_are_encoded_at_once_and_all_are_done(tmp_path: Path) -> None:
    """Each of three waits for the two others before it is written."""
    rng = np.random.default_rng(3)
    for number in range(6):
        pixels = rng.integers(0, 256, (12, 12 + number, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    given = ["upscale", str(tmp_path), "-o", str(out), "-m", "adaformer-s", "--device", "cpu"]
    run = subprocess.run(
        [sys.executable, "-c", MEETING_WRITERS, *given], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for number in range(6):
        with Image.open(out / f"{number}.png") as image:
            assert image.size == (4 * (12 + number), 48)
    journal = Journal(out, create=False)
    try:
        assert [entry.state for entry in journal.entries().values()] == ["done"] * 6
    finally:
        journal.close()
