"""Storage in this process's memory, and `srcli` in this process, which sees it."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import fsspec
import numpy as np
import pytest
from PIL import Image

from srcli.cli.console import echo_line
from srcli.cli.main import main
from srcli.errors import SrcliError

OWN_COPIES = "import tempfile\ntempfile.tempdir = None\n"
"""Program of a fork that looks at TMPDIR again."""
PROGRAM = f"{OWN_COPIES}from srcli.cli.main import run\nrun()\n"
SMALL = ("-m", "adaformer-s", "--effort", "fast", "--precision", "fp32")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def counts(self) -> tuple[int, int, int]:
        """Done, skipped and failed."""
        words = self.out.split()
        return int(words[1]), int(words[3]), int(words[5])


def srcli(capsys: pytest.CaptureFixture[str], *words: object) -> Ended:
    """The command, in this process."""
    capsys.readouterr()
    try:
        code = int(main.main(list(map(str, words)), "srcli", standalone_mode=False) or 0)
    except (SrcliError, click.ClickException) as error:
        code = int(error.exit_code)
        echo_line(str(error))
    return Ended(code, *capsys.readouterr())


def png(seed: int, side: int = 12) -> bytes:
    """A small image of noise."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 3, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


@contextlib.contextmanager
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty storage, for `memory://` URLs."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    yield storage
    storage.store.clear()


def objects(storage: fsspec.AbstractFileSystem, folder: str) -> dict[str, bytes]:
    """Every object of a folder, by its name in there."""
    found = {name: storage.cat_file(name) for name in storage.find(folder)}
    return {name.removeprefix(f"/{folder}/"): content for name, content in found.items()}


def copies_left() -> list[Path]:
    """Copies that runs of this machine have left."""
    return list(Path(tempfile.gettempdir()).glob(".srcli-copies.*"))
