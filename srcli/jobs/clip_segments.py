"""The segments of a clip that is being made: what a killed run leaves for the next one."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from srcli.errors import FolderBusy, UnreadableVideo, UnwritableVideo
from srcli.jobs.naming import shortened
from srcli.locks import FolderLock
from srcli.media import atomic_file
from srcli.media.video import Segment, find_segments

__all__ = ["SegmentStore"]

_LOCK = "lock"


class SegmentStore:
    """A hidden folder beside the target, held while the clip is made.

    Used as a context manager: at its end the folder stays if there is something in it that another
    run can go on with.

    Args:
        target: The clip that is made.
        key: Everything that decides its bytes; segments made with another key are of no use.
    """

    def __init__(self, target: Path, key: Mapping[str, str]) -> None:
        self.folder = target.with_name(shortened(f".{target.name}.srcli-parts"))
        self._target = target
        self._key = json.dumps(dict(sorted(key.items())), indent=1)

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
                    f"{self._target}: another run is making it: wait for that one, stop it, or "
                    "name another clip with -o"
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
        done = error is None or isinstance(error, UnreadableVideo)
        if done or not find_segments(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)  # while no one else may use it
        self._lock.release()
        if done and os.name == "nt":  # where a file that is open cannot be removed
            shutil.rmtree(self.folder, ignore_errors=True)

    def resume(self) -> list[Segment]:
        """The segments of a former run with the same key; anything else is removed."""
        file = self.folder / "key.json"
        try:
            same = file.read_text("utf-8") == self._key
        except OSError:
            same = False
        if same:
            return find_segments(self.folder)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
        with atomic_file(file) as stream:
            stream.write(self._key.encode())
        return []

    def next(self, number: int) -> Path:
        """The name of segment `number`."""
        return self.folder / f"{number:06}.mkv"
