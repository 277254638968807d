"""Training images made small for a journey."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.data.images import find_sources, read_rgb
from srcli.data.resize import resize
from srcli.errors import UsageError
from srcli.training.pack import pack
from tests.forked_python import run_forked


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> list[Path]:
    for name in ("one/a.png", "one/a.webp", "one/deep/b.png", "two/c.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(resize(coarse, 160, 192)).save(path, lossless=True)
    (tmp_path / "one" / "metadata.csv").write_text("a.png,by somebody\n")
    return [tmp_path / "one", tmp_path / "two"]


@pytest.mark.slow
def test_images_fit_and_are_what_they_were(folders: list[Path], tmp_path: Path):
    out = tmp_path / "packed"
    large, small = pack(folders, out, 0.2), pack(folders, tmp_path / "smaller", 0.02)
    for packed, room in ((large, 0.2), (small, 0.02)):
        assert packed.size <= room * 2**20
    assert small.quality < large.quality
    assert large.psnr > small.psnr + 3
    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert names == ["PACKED.txt", "one/a.avif", "one/a.webp.avif", "one/deep/b.avif",
                     "one/metadata.csv", "two/c.avif"]  # fmt: skip
    sources, useless = find_sources([out], 2, 32, [], 1200)
    assert (len(sources), useless) == (4, [])
    before, after = read_rgb(folders[1] / "c.png"), read_rgb(out / "two" / "c.avif")
    error = np.square(before.astype(float) - after).mean()
    assert 10 * np.log10(255**2 / error) >= large.worst - 1e-6


def test_refuses_what_cannot_be(folders: list[Path], tmp_path: Path):
    with pytest.raises(UsageError, match=r"4 images take .* at quality 30, more than 0.0001; hint"):
        pack(folders, tmp_path / "packed", 0.0001)
    with pytest.raises(UsageError, match="is not empty"):
        pack(folders, folders[1], 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no images in .*empty"):
        pack([tmp_path / "empty"], tmp_path / "packed", 1)


@pytest.mark.slow
def test_the_command_says_what_it_made(folders: list[Path], tmp_path: Path):
    words = ["-m", "srcli.training.pack", *folders, "--size", "0.1", "--out"]
    done = run_forked([*words, tmp_path / "packed"])
    assert done.stdout.startswith("4 images, 0.1 megapixels: 0.")
    assert "dB" in (tmp_path / "packed" / "PACKED.txt").read_text()
    again = run_forked([*words, tmp_path / "packed"])
    assert again.returncode == 2
    assert again.stderr.startswith("srcli: ")
