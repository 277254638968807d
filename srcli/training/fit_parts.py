"""`python -m srcli.training.fit_parts WEIGHTS… --data FOLDER`: add to weights what is fitted.

Short ways of smooth windows and ranges for int8 follow from a trained network and images, without
training: run this on an AdaFormer's weights once they are trained. What of them a file has is
replaced; nothing else changes.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from srcli.data.degradation import Degrader, degrader_named
from srcli.data.images import image_files, read_rgb
from srcli.data.resize import downscale
from srcli.errors import ExitCode, UsageError, cannot_write
from srcli.models import model_spec
from srcli.models.adaformer import RANGES, SHORT_WAYS, AdaFormer
from srcli.training.checkpoint import read_tensors, write_whole
from srcli.training.fit_ranges import fit_ranges
from srcli.training.fit_short_ways import fit_short_ways
from srcli.training.process import run_program
from srcli.weights.identify import match_parameters

__all__ = ["lr_images"]

_MODELS = ("adaformer", "adaformer-s")
_PARTS = {"short-ways": SHORT_WAYS, "ranges": RANGES}
_LARGEST = 384, 512  # LR px: of larger images a part


def lr_images(
    files: Sequence[Path], scale: int, degraders: Sequence[Degrader] = (), seed: int = 0
) -> Iterator[Tensor]:
    """LR images of photographs: every one reduced by `scale`, and, as users have them, as it is.

    Args:
        files: Image files.
        scale: HR px per LR px to a side.
        degraders: Take turns at degrading the LR images; none: they stay clean.
        seed: Of the part that is taken of a large one.

    Yields:
        (1, 3, h, w) in [0, 1].
    """
    numbers = torch.Generator().manual_seed(seed)
    count = 0
    for path in files:
        image = read_rgb(path)
        height, width = (side // scale * scale for side in image.shape[:2])
        for lr in (downscale(image[:height, :width], scale), image):
            top, left = (
                int(torch.randint(max(side - most, 0) + 1, (), generator=numbers))
                for side, most in zip(lr.shape[:2], _LARGEST, strict=True)
            )
            part = lr[top : top + _LARGEST[0], left : left + _LARGEST[1]]
            if degraders:
                part = degraders[count % len(degraders)](part)
            count += 1
            yield torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float() / 255.0


def _fit_file(
    path: Path, files: Sequence[Path], degraders: Sequence[Degrader], parts: Sequence[str]
) -> str:
    """Fit parts of a weights file; what its manifest entry needs to say of it now."""
    held = read_tensors(path)
    fitted = tuple(_PARTS[part] for part in parts)
    kept = {n: t for n, t in held.tensors.items() if not n.startswith(fitted)}
    matches = match_parameters({name: tuple(t.shape) for name, t in kept.items()})
    ours = [one for one in matches if one.model in _MODELS]
    if not ours:
        raise UsageError(
            f"{path} is no weights file of {' or '.join(_MODELS)}; hint: other networks have no "
            f"{' or '.join(parts)}"
        )
    spec = model_spec(ours[0].model)
    network = cast("AdaFormer", spec.build(ours[0].scale))
    network.load_state_dict({name: tensor.float() for name, tensor in kept.items()})
    network.eval().requires_grad_(requires_grad=False)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    network = network.prepared()
    found: list[str] = []
    images = list(lr_images(files, network.scale, degraders))
    if "short-ways" in parts:
        count = fit_short_ways(network, images, spec.efforts["balanced"])
        found.append(f"{count:,} px of smooth windows")
    if "ranges" in parts:
        found.append(f"{fit_ranges(network, images):,} images")
    dtype = next(iter(kept.values())).dtype
    made = {n: t.to(dtype) for n, t in network.state_dict().items() if n.startswith(fitted)}
    write_whole(path, {**kept, **made}, {key: held.note(key) for key in held.notes})
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f'{path.name}: {", ".join(found)}\nsize = {len(content)}\nsha256 = "{digest}"\n'


def main() -> int:
    """Run the program; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m srcli.training.fit_parts",
        description="Add short ways and ranges for int8 to weights of adaformer or adaformer-s.",
    )
    parser.add_argument("weights", nargs="+", type=Path, metavar="WEIGHTS")
    parser.add_argument("--data", required=True, action="append", type=Path, metavar="FOLDER")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take one image of N")
    parser.add_argument(
        "--parts", default=",".join(_PARTS), metavar="NAME,…", help=f"of {', '.join(_PARTS)}"
    )
    parser.add_argument(
        "--degrade",
        default="",
        metavar="NAME,…",
        help="jpeg:75, webp:50, …: take turns at LR images",
    )
    given = parser.parse_args()

    def work() -> ExitCode:
        if missing := [folder for folder in given.data if not folder.is_dir()]:
            raise UsageError(f"there is no folder {missing[0]}")
        parts = [name for name in given.parts.split(",") if name]
        if unknown := [name for name in parts if name not in _PARTS]:
            raise UsageError(f"no part named {unknown[0]!r}; hint: have {', '.join(_PARTS)}")
        if not parts:
            raise UsageError(f"--parts names no part; hint: have {', '.join(_PARTS)}")
        degraders = [degrader_named(name) for name in given.degrade.split(",") if name]
        if given.every < 1:
            raise UsageError(f"--every is {given.every}, and at least 1; hint: 1 takes all images")
        files = [path for folder in given.data for path in image_files(folder)][:: given.every]
        if not files:
            raise UsageError(f"no images in {', '.join(map(str, given.data))}")
        for path in given.weights:
            try:
                sys.stdout.write(_fit_file(path, files, degraders, parts))
            except OSError as error:
                raise cannot_write(f"cannot write {path}: {error.strerror}", error) from error
        return ExitCode.ALL_DONE

    return run_program(work)


if __name__ == "__main__":
    sys.exit(main())
