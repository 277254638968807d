"""Images of a batch are decoded and encoded several at once, and the journal has them all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.jobs.image_stages import decoders_beside
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


MEETING_READERS = """
import sys, threading
import torch
from srcli.cli.main import main
from srcli.jobs import image_stages, run_batch

meeting = threading.Barrier(3, timeout=60)
load = image_stages.ImageStages.load

def meet(stages, job):
    meeting.wait()
    return load(stages, job)

image_stages.ImageStages.load = meet
among = run_batch.decoders_beside
run_batch.decoders_beside = lambda device, cores: among(torch.device("cuda"), cores)
run_batch.usable_cores = lambda: 12
main(sys.argv[1:])
"""


def test_number_of_decoders() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [decoders_beside(cpu, cores) for cores in (1, 16, 128)] == [1, 1, 1]
    assert [decoders_beside(cuda, cores) for cores in (1, 4, 8, 16, 128)] == [1, 1, 2, 4, 8]


@pytest.mark.slow
@pytest.mark.parametrize("program", [MEETING_READERS, MEETING_WRITERS])
def test_three_images_are_decoded_or_encoded_at_once_and_all_are_done(
    tmp_path: Path, program: str
) -> None:
    """Each of three waits for the two others before it is read, or written."""
    rng = np.random.default_rng(3)
    for number in range(6):
        pixels = rng.integers(0, 256, (12, 12 + number, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    given = ["upscale", str(tmp_path), "-o", str(out), "-m", "adaformer-s", "--device", "cpu"]
    run = subprocess.run(
        [sys.executable, "-c", program, *given], capture_output=True, text=True, check=False
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
