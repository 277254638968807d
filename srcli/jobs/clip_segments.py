"""The segments of a clip that is being made: what a killed run leaves for the next one."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from srcli.errors import FolderBusy, UnwritableVideo
from srcli.jobs.naming import shortened
from srcli.locks import FolderLock
from srcli.media import atomic_file
from srcli.media.video import Segment, all_segments, find_segments

__all__ = ["SegmentStore", "key_text"]

_LOCK = "lock"
_KEY = "key.json"
_LOSSY = "damaged"
_ASIDE = "other-"


class SegmentStore:
    """A hidden folder beside the target, held while the clip is made.

    Used as a context manager: at its end the folder stays if there is something in it that another
    run can continue with.

    Args:
        target: The clip that is made.
        key: Everything that decides its bytes; segments made with another key are of no use.
        former_key: The same in the words of an earlier version, whose segments are as good.
    """

    def __init__(
        self, target: Path, key: Mapping[str, str], former_key: Mapping[str, str] | None = None
    ) -> None:
        self.folder = target.with_name(shortened(f".{target.name}.srcli-parts"))
        self._target = target
        self._key = key_text(key)
        self._former_key = key_text(former_key or key)

    def __enter__(self) -> Self:
        """Hold the folder.

        Raises:
            UnwritableVideo: Another run makes this clip.
        """
        path = self.folder / _LOCK
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock = FolderLock(path, wait=False, on_wait=lambda holder: None)
            except FolderBusy as error:
                raise UnwritableVideo(
                    f"{self._target}: another run is making it; hint: wait for that one, stop it, "
                    "or name another clip with -o"
                ) from error
            except FileNotFoundError:  # another run has just ended, and cleans up
                continue
            if self._lock.is_at(path):
                return self
            self._lock.release()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        done = error is None or not self._holds_segments()
        if done:
            shutil.rmtree(self.folder, ignore_errors=True)  # while no one else may use it
        self._lock.release()
        if done and os.name == "nt":  # where a file that is open cannot be removed
            shutil.rmtree(self.folder, ignore_errors=True)

    def resume(self) -> list[Segment]:
        """The segments of a former run with the same key, up to the first that is missing.

        Those made with another are set aside, and come back if that one is asked for again;
        `superseded` counts their frames.
        """
        if self._read_key(self.folder) == self._former_key:
            self._write_key()
        elif self._read_key(self.folder) != self._key:
            self._set_aside()
            again = next((f for f in self._aside() if self._read_key(f) == self._key), None)
            if again is not None:
                _move(again, self.folder)
                again.rmdir()
            else:
                self._write_key()
        return find_segments(self.folder)

    @property
    def superseded(self) -> int:
        """Frames that former runs made with other keys, and that go when this clip is done."""
        return sum(len(one.pts) for aside in self._aside() for one in all_segments(aside))

    @property
    def lossy(self) -> bool:
        """True if what the segments were made from was damaged."""
        return (self.folder / _LOSSY).exists()

    def mark_lossy(self) -> None:
        """Note that what the segments are made from is damaged, for the run that continues."""
        (self.folder / _LOSSY).touch()

    def _read_key(self, folder: Path) -> str:
        try:
            return (folder / _KEY).read_text("utf-8")
        except OSError:
            return ""

    def _write_key(self) -> None:
        with atomic_file(self.folder / _KEY) as stream:
            stream.write(self._key.encode())

    def _holds_segments(self) -> bool:
        return any(all_segments(folder) for folder in (self.folder, *self._aside()))

    def _aside(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_ASIDE}*"))

    def _set_aside(self) -> None:
        """Move the segments of another key away; remove what is nothing to continue with."""
        if all_segments(self.folder):
            name = hashlib.sha256(self._read_key(self.folder).encode()).hexdigest()[:8]
            aside = self.folder / f"{_ASIDE}{name}"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            _move(self.folder, aside)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.name.startswith(_ASIDE):
                shutil.rmtree(path)
            elif path.is_file() and path.name != _LOCK:
                path.unlink()

    def next(self, number: int) -> Path:
        """The name of segment `number`."""
        return self.folder / f"{number:06}.mkv"


def key_text(key: Mapping[str, str]) -> str:
    """A key as it is stored."""
    return json.dumps(dict(sorted(key.items())), indent=1)


def _move(source: Path, target: Path) -> None:
    """Move whole segments and what is known of them; the key last, which makes them count."""
    names = [one.path.name for one in all_segments(source)]
    lists = [Path(name).with_suffix(".json").name for name in names]
    for name in (*names, *lists, _LOSSY, _KEY):
        if (source / name).exists():
            (source / name).replace(target / name)
