"""Downloads of data sets as the terminal shows them."""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from tqdm import tqdm

from srcli.cli.fetching import host_of
from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_download import SetProgress, download_set
from srcli.data.set_source import SetFile, SetPart
from srcli.transfer.policy import Policy

__all__ = ["fetch_set"]


def fetch_set(one: BenchmarkSet, scale: int, root: Path, policy: Policy) -> Path:
    """Download a set for one scale, showing speed and remaining time, and return its folder.

    Raises:
        UsageError: It cannot be downloaded for that scale.
        DownloadError: The server does not give it, or the disk does not take it.
    """
    part = one.parts.get(scale)
    if part is None:
        return download_set(one, scale, root, policy, SetProgress())
    title = f"{one.name} x{scale}"
    with closing(_Bar(title, part)) as bar:

        def on_begin(files: Sequence[SetFile]) -> None:
            click.echo(f"downloading {_what(title, files, part.terms, policy)}", err=True)
            bar.begin(files)

        def on_wait() -> None:
            click.echo(f"another process is downloading {title}: waiting for it", err=True)

        progress = SetProgress(on_begin, bar.on_bytes, bar.on_file, on_wait)
        return download_set(one, scale, root, policy, progress)


class _Bar:
    """A bar that counts images, or the bytes of archives, and the bytes that have come."""

    def __init__(self, title: str, part: SetPart) -> None:
        self._counts_bytes = all(file.size for file in part.files)
        self._bar = tqdm(
            total=None if self._counts_bytes else len(part.files),
            desc=title,
            unit="B" if self._counts_bytes else " images",
            unit_scale=self._counts_bytes,
            file=sys.stderr,
            delay=1e-3,  # s: none is shown where nothing is to be done
            disable=None,  # where stderr is no terminal
        )
        self._before = 0  # bytes of the files that are there
        self._current = 0  # bytes of the file that is coming
        self._started = time.monotonic()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def begin(self, files: Sequence[SetFile]) -> None:
        """Say what is to come."""
        sizes = [file.size for file in files]
        self._bar.reset(sum(sizes) if self._counts_bytes else len(sizes))
        self._bar.delay = 0  # a download shorter than the delay is shown to its end, too
        self._started = time.monotonic()

    def on_bytes(self, done: int, total: int) -> None:
        """Show bytes of the present file."""
        self._current = done
        come = self._before + self._current
        if self._counts_bytes:
            self._bar.update(come - self._bar.n)
        else:
            speed = come / max(time.monotonic() - self._started, 1e-3)
            self._bar.set_postfix_str(f"{come / 1e6:.1f} MB, {speed / 1e6:.2f} MB/s", refresh=False)

    def on_file(self, file: SetFile) -> None:
        """Show that a file is there."""
        self._before += file.size if self._counts_bytes else self._current
        self._current = 0
        self._bar.update(self._before - self._bar.n if self._counts_bytes else 1)


def _what(title: str, files: Sequence[SetFile], terms: str, policy: Policy) -> str:
    hosts = [host_of(one) for one in policy.addresses("", [file.url for file in files])]
    where = " or ".join(dict.fromkeys(hosts))
    known = sum(file.size for file in files)
    size = f"{known / 1e6:.0f} MB" if known else "size not stated"
    kind = "archive" if files[0].is_archive else "image"
    plural = "" if len(files) == 1 else "s"
    return f"{title}, {len(files)} {kind}{plural}, {size}, terms {terms}, from {where}"
