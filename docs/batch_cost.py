"""What the journal and the worker process cost: seconds per photograph, and their share.

python docs/batch_cost.py FOLDER [COUNT]

Each photograph is read in this process and by the worker, and written with and without a journal,
in turn; the medians of the differences are compared with the network's time, which is that of one
tile times the photograph's pixels. The true share is less: reading and writing go on while the
network computes.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from srcli import Upscaler
from srcli.jobs.identity import Identity
from srcli.jobs.journal import RunRecord
from srcli.jobs.ledger import Ledger, Made
from srcli.jobs.plan import Job
from srcli.jobs.settings import Settings
from srcli.media import DecodeLimits, Decoder, read_picture, write_picture


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(folder: Path, count: int) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    names = (".jpg", ".jpeg", ".png", ".webp")
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in names)[:count]
    tile = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
    upscaler = Upscaler(scale=4)
    upscaler(tile)
    per_pixel = seconds(lambda: upscaler(tile)) / tile[..., 0].size
    reading: list[float] = []
    writing: list[float] = []
    network: list[float] = []
    settings = Settings("adaformer", "0" * 64, "x4", "balanced")
    record = RunRecord(1, "0", "adaformer", "0" * 64, "{}", "cpu")
    with tempfile.TemporaryDirectory() as made, Decoder(DecodeLimits()) as decoder:
        out = Path(made)
        jobs = [Job(p, out / f"{i}.jpg", "jpeg", out) for i, p in enumerate(photos)]
        with Ledger(jobs, settings, wait=False, tell=print) as ledger:
            ledger.begin(record, jobs)
            decoder.read(photos[0])
            for job in jobs:
                plain = seconds(lambda job=job: read_picture(job.source))
                reading.append(seconds(lambda job=job: decoder.read(job.source)) - plain)
                picture = read_picture(job.source)
                network.append(picture.width * picture.height * per_pixel)
                larger = picture.pixels.repeat(4, 0).repeat(4, 1)
                picture = replace(picture, pixels=larger, format="jpeg")
                plain = seconds(lambda p=picture: write_picture(p, out / "plain.jpg"))
                whole = ledger.whole(job, Made(Identity(1, 1, ""), 1, 1, 0.0))

                def journalled(p=picture, j=job, w=whole) -> None:  # noqa: ANN001
                    write_picture(p, j.target, whole=w)
                    ledger.done(j)

                writing.append(seconds(journalled) - plain)
    read, write, computed = map(statistics.median, (reading, writing, network))
    sys.stdout.write(
        f"{len(photos)} photographs, x4: worker {read * 1e3:.0f} ms, journal {write * 1e3:.0f} ms, "
        f"network {computed:.1f} s (medians): {(read + write) / computed:.2%}\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
