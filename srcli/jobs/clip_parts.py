"""The segments of a clip that is being made: what a killed run leaves for the next one."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from srcli.media import atomic_file
from srcli.media.video import Segment, find_segments

__all__ = ["Parts"]


class Parts:
    """A hidden folder beside the target.

    Args:
        target: The clip that is made.
        key: Everything that decides its bytes; segments made with another key are of no use.
    """

    def __init__(self, target: Path, key: Mapping[str, str]) -> None:
        self.folder = target.with_name(f".{target.name[:80]}.srcli-parts")
        self._key = json.dumps(dict(sorted(key.items())), indent=1)

    def resume(self) -> list[Segment]:
        """The segments of a former run with the same key; anything else is removed."""
        file = self.folder / "key.json"
        try:
            same = file.read_text("utf-8") == self._key
        except OSError:
            same = False
        if not same:
            self.remove()
            self.folder.mkdir(parents=True)
            with atomic_file(file) as stream:
                stream.write(self._key.encode())
            return []
        return find_segments(self.folder)

    def next(self, number: int) -> Path:
        """The name of segment `number`."""
        return self.folder / f"{number:06}.mkv"

    def remove(self) -> None:
        """All of it, once the clip is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
