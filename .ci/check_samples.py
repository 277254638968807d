"""Check what the README's main command made: complete, of the right size, sharper than bicubic.

python .ci/check_samples.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from srcli.metrics.psnr import psnr_y

ROOT = Path(__file__).parents[1]


def main(made: Path) -> None:
    """Compare every sample with its original and with bicubic."""
    samples = ROOT / "docs" / "samples"
    expected = [p for p in sorted(samples.rglob("*")) if p.suffix in {".png", ".jpg", ".webp"}]
    found = {p.relative_to(made) for p in made.rglob("*") if _shown(p, made)}
    if found != {p.relative_to(samples) for p in expected} or len(expected) != 3:
        sys.exit(f"{made} holds {sorted(map(str, found))}, not the samples")
    for path in expected:
        lr = Image.open(path).convert("RGB")
        hr = Image.open(ROOT / "tests" / "samples_hr" / f"{path.stem}.webp").convert("RGB")
        sr = Image.open(made / path.relative_to(samples)).convert("RGB")
        if sr.size != hr.size:
            sys.exit(f"{path.name}: {sr.size}, not {hr.size}")
        bicubic = lr.resize(hr.size, Image.Resampling.BICUBIC)
        ours, theirs = (psnr_y(np.asarray(p), np.asarray(hr), crop=4) for p in (sr, bicubic))
        sys.stdout.write(f"{path.name}: {ours:.2f} dB, bicubic {theirs:.2f} dB\n")
        if ours < theirs + 0.3:
            sys.exit(f"{path.name}: not sharper than bicubic")


def _shown(path: Path, root: Path) -> bool:
    """Whether it is a file, and not the journal's."""
    return path.is_file() and not any(part[0] == "." for part in path.relative_to(root).parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
