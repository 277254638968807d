"""What several tests of the command line need."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo[:24, :30]).save(tmp_path / "in" / "sub" / "b.jpg")
    return tmp_path / "in"
