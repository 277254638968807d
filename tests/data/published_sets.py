"""Small images at the real addresses of the benchmark sets."""

import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
from PIL import Image

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.resize import resize
from srcli.data.set_source import SetFile
from srcli.data.sets import benchmark_set
from tests.weights.published_server import PublishedServer


def png(seed: int, height: int = 64, width: int = 48) -> bytes:
    """A smooth image of random colours."""
    rng = np.random.default_rng(seed)
    image = resize(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), height, width)
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def serve_images(served: PublishedServer, name: str, scale: int = 4) -> list[bytes]:
    """Serve what SelfExSR's repository has of a set; the images in their order."""
    files = benchmark_set(name).parts[scale].files
    images = [png(number, 16 * scale, 12 * scale) for number, _ in enumerate(files)]
    for file, content in zip(files, images, strict=True):
        served.serve_at(file.url, content)
    return images


def serve_div2k(served: PublishedServer, lacks: str = "") -> BenchmarkSet:
    """Serve archives as DIV2K's server has them, and return the set that has their hashes."""
    one = benchmark_set("DIV2K")
    parts = {
        scale: replace(part, files=tuple(_served(served, file, lacks) for file in part.files))
        for scale, part in one.parts.items()
        if scale != 3
    }
    return replace(one, parts=parts)


def _served(served: PublishedServer, file: SetFile, lacks: str) -> SetFile:
    """Serve an archive of small images in its place; its entry with its size and hash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        folder = file.mirror_name.removesuffix(".zip")
        for number, name in enumerate(file.images):
            side = 32 // int(name[-5]) if "x" in name else 32
            if name != lacks:
                archive.writestr(f"{folder}/{name}", png(number % 3, side, side))
        archive.writestr(f"{folder}/../../outside.txt", b"nothing of it")
    served.serve_at(file.url, content.getvalue())
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    return replace(file, size=len(content.getvalue()), sha256=sha256)
