"""Fixtures that several tests of the command line need."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.weights_world import SHIPPED, World
from tests.weights.conftest import serving
from tests.weights.published_server import PublishedServer, publish_fabricated, serving_published


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo[:24, :30]).save(tmp_path / "in" / "sub" / "b.jpg")
    return tmp_path / "in"


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with serving() as server:
        server.content = SHIPPED.read_bytes()
        yield World(tmp_path, server, capsys)


@pytest.fixture
def image(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo[:16, :24]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def far(world: World, tmp_path: Path) -> Iterator[PublishedServer]:
    """All published addresses, with files of the right names and shapes."""
    with serving_published(tmp_path) as served:
        world.manifest = publish_fabricated(served, tmp_path / "published.toml")
        world.environment |= served.environment | {"SRCLI_WEIGHTS_MANIFEST": str(world.manifest)}
        yield served


@pytest.fixture
def photos(tmp_path: Path, photo: np.ndarray) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(photo[:16, :24]).save(tmp_path / "photos" / name)
    return tmp_path / "photos"
