"""Time a network in several precisions, in turns, on images used as LR.

python docs/measure/precisions.py lake.png street.png --model adaformer --precisions fp32,int8

Of each image and effort: the shortest of some runs in the first precision, in seconds, and those in
the others in parts of it. With `--psnr` also how near the others come to the first, in dB.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch

from srcli.data.images import read_rgb
from srcli.host_memory import keep_freed_memory
from srcli.inference.device import pick_device
from srcli.inference.network import load_network
from srcli.weights import best_scale


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--model", default="adaformer")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--precisions", default="fp32,int8")
    parser.add_argument("--efforts", default="exact,balanced")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--psnr", action="store_true")
    given = parser.parse_args()
    keep_freed_memory()
    device, weights = pick_device(given.device), best_scale(given.model, given.scale)
    names = given.precisions.split(",")
    networks = {name: load_network(weights, device, name) for name in names}
    for path in given.images:
        lr = torch.from_numpy(read_rgb(path)).permute(2, 0, 1)[None].float() / 255
        said = [f"{path.name} {lr.shape[3]}x{lr.shape[2]}"]
        for effort in given.efforts.split(","):
            halting = networks[names[0]].spec.efforts[effort]
            seconds = dict.fromkeys(names, math.inf)
            images: dict[str, torch.Tensor] = {}
            for _ in range(given.repeats + 1):  # the first chooses kernels
                for name, network in networks.items():
                    here = network.take(lr)
                    began = time.perf_counter()
                    output = network(here, halting)  # waits: it looks whether all is finite
                    seconds[name] = min(seconds[name], time.perf_counter() - began)
                    images[name] = output.image.float().cpu().clamp(0, 1)
            said.append(f"{effort}: {names[0]} {seconds[names[0]]:.2f} s")
            for name in names[1:]:
                near = (images[name] - images[names[0]]).square().mean().item()
                psnr = f" ({-10 * math.log10(max(near, 1e-12)):.1f} dB)" if given.psnr else ""
                said.append(f"{name} {seconds[name] / seconds[names[0]]:.2f}{psnr}")
        sys.stdout.write(", ".join(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
