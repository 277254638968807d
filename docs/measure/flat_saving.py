"""Saving by an image's flat areas: `python docs/measure/flat_saving.py IMAGE ... [--model M]`.

Each image is upscaled with its flat blocks copied and with everything computed, in turns, on one
thread; prints the ratio of the least processor times and the largest difference of the results.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from srcli import Upscaler
from srcli.inference import run_tiles

parser = argparse.ArgumentParser()
parser.add_argument("images", nargs="+", type=Path)
parser.add_argument("--model", default="adaformer")
parser.add_argument("--effort", default="balanced")
parser.add_argument("--turns", type=int, default=2)
given = parser.parse_args()
torch.set_num_threads(1)
upscaler = Upscaler(given.model, effort=given.effort, precision="fp32")
find = run_tiles.find_flat_blocks
for path in given.images:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    results: dict[bool, np.ndarray] = {}
    for turn in range(2 * given.turns):
        copies = turn % 2 == 1
        run_tiles.find_flat_blocks = find if copies else lambda *_: None
        started = time.process_time()
        results[copies] = upscaler(pixels)
        seconds[copies].append(time.process_time() - started)
    difference = np.abs(results[True].astype(int) - results[False]).max()
    print(  # noqa: T201
        f"{path.name} {pixels.shape[1]}x{pixels.shape[0]} {given.model} {given.effort}: "
        f"{min(seconds[True]) / min(seconds[False]):.3f} "
        f"({min(seconds[True]):.2f} and {min(seconds[False]):.2f} s), "
        f"differs by {difference} of 255",
        flush=True,
    )
