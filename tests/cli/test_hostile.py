"""Folders full of files that are broken, odd or no images at all."""

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.processes import FAST, folder_of, require_whole, start


def mutate(folder: Path, good: list[bytes], count: int, rng: np.random.Generator) -> None:
    """Fill a folder with files as no camera makes them."""
    endings = ("png", "jpg", "webp", "tif", "bmp")
    for number in range(count):
        content = bytearray(good[rng.integers(len(good))])
        path = folder / f"bad{number:03}.{endings[rng.integers(len(endings))]}"
        match number % 10:
            case 0:
                content = content[: rng.integers(len(content))]
            case 1 | 2 | 3:
                for _ in range(rng.integers(1, 20)):
                    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
            case 4:
                other = good[rng.integers(len(good))]
                content[:32] = other[:32]
            case 5:
                at = content.find(b"IHDR")
                start = at + 4 if at > 0 else int(rng.integers(len(content) - 8))
                content[start : start + 8] = (60000).to_bytes(4, "big") * 2
            case 6:
                content = bytearray(rng.integers(0, 256, 500, np.uint8).tobytes())
            case 7:
                content = bytearray()
            case 8:
                start = rng.integers(len(content) - 40)
                content[start : start + 40] = rng.integers(0, 256, 40, np.uint8).tobytes()
            case _:
                special(path, number)
                continue
        path.write_bytes(content)


def special(path: Path, number: int) -> None:
    """Inputs that are not regular files, or may not be read."""
    match number // 10 % 5:
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            with socket.socket(socket.AF_UNIX) as one:
                here = Path.cwd()
                os.chdir(path.parent)  # a socket's path must be short
                one.bind(path.name)
                os.chdir(here)
        case 3:
            path.write_bytes(b"secret")
            path.chmod(0)
        case _:
            path.symlink_to(path.name)


def hostile_run(tmp_path: Path, samples: list[Path], rng: np.random.Generator, count: int) -> None:
    source = folder_of(tmp_path / "in", rng, 10, (12, 16))
    pixels = rng.integers(0, 256, (12, 16, 3), np.uint8)
    good: list[bytes] = []
    for ending in ("png", "jpg", "webp", "tif", "bmp"):
        Image.fromarray(pixels).save(tmp_path / f"x.{ending}")
        good.append((tmp_path / f"x.{ending}").read_bytes())
    mutate(source, good, count, rng)
    listed = [p for p in source.iterdir() if not p.is_dir()]
    process = start("upscale", source, "--json", "--max-seconds", "20", "--max-memory", "1G", *FAST)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    events = [json.loads(line) for line in stdout.splitlines()]
    ends = [e for e in events if e["event"] in ("done", "failed", "skipped")]
    assert {Path(e["input"]).name for e in ends} == {p.name for p in listed}
    assert len(ends) == len(listed)
    state = {Path(e["input"]).name: e for e in ends}
    for number in range(10):
        assert state[f"{number:02}.png"]["event"] == "done"
    out = tmp_path / "in_x4"
    for end in ends:
        if end["event"] == "failed":
            assert Path(end["input"]).name in end["reason"]
            assert "please report" not in end["reason"]
        else:
            require_whole(Path(end["output"]))
    assert len(list(out.glob("[!.]*"))) == sum(e["event"] == "done" for e in ends)
    import resource

    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 << 20  # KB


def test_hostile_files(tmp_path: Path, samples: list[Path], rng: np.random.Generator) -> None:
    hostile_run(tmp_path, samples, rng, 60)


@pytest.mark.slow
def test_five_hundred_hostile_files(
    tmp_path: Path, samples: list[Path], rng: np.random.Generator
) -> None:
    hostile_run(tmp_path, samples, rng, 500)
