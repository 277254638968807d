"""What several tests of the command line need."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.weights_world import SHIPPED, World
from tests.weights.conftest import serving


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
def picture(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo[:16, :24]).save(tmp_path / "a.png")
    return tmp_path / "a.png"
