"""Decode a clip in a process of its own, so that a codec that crashes fails this clip alone."""

import json
import os
import weakref
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from srcli.errors import ImageTooLarge, InputError, UnreadableImage, UnreadableVideo, UsageError
from srcli.media.video.colour import Colour
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.probe import DecodeOptions
from srcli.media.worker_process import end_of, fill, start_worker, stop_worker

__all__ = ["IsolatedClip"]

_PROGRAM = "from srcli.media.video.clip_worker import serve; serve()"
_ERRORS = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (InputError, UnreadableVideo, UnreadableImage, ImageTooLarge, UsageError)
    }
)


class IsolatedClip:
    """Reads one clip as `ClipReader` does, in a worker process; see `FrameSource`.

    Args:
        path: The file; its name is not trusted.
        reading: How to read it.

    Raises:
        UnreadableVideo: It cannot be read, or its decoder crashed.
    """

    def __init__(self, path: Path, reading: DecodeOptions) -> None:
        self.path = path
        self._worker = start_worker(_PROGRAM)
        assert self._worker.stdout is not None
        self._answers: IO[bytes] = self._worker.stdout
        self._stop = weakref.finalize(self, stop_worker, self._worker)
        duration = reading.duration
        self._ask(
            {
                "path": os.fsencode(path).hex(),
                "start": str(reading.start),
                "duration": None if duration is None else str(duration),
                "deinterlace": reading.deinterlace,
                "hdr": reading.hdr,
            }
        )
        self._notes: list[str] = []
        self._lossy = False
        head = self._head()
        self._info = _info(head["info"])

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self._notes

    @property
    def lossy(self) -> bool:
        """See `FrameSource`."""
        return self._lossy

    def recount(self) -> None:
        """See `FrameSource`."""
        self._ask({"do": "recount"})
        self._head()

    def times(self) -> list[int] | None:
        """See `SeekableSource`."""
        self._ask({"do": "times"})
        times: list[int] | None = self._head()["times"]
        return times

    def frames(self, done: int, last: int | None, most: int | None = None) -> Iterator[Frame]:
        """See `SeekableSource`."""
        self._ask({"do": "frames", "done": done, "last": last, "most": most})
        whole = False
        try:
            while "pts" in (head := self._head()):
                yield Frame(head["pts"], head["duration"], self._pixels(head))
            whole = True
        finally:
            if not whole:  # what follows would be the rest of these frames
                self._stop()

    def _ask(self, request: Mapping[str, object]) -> None:
        assert self._worker.stdin is not None
        try:
            self._worker.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._worker.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._ended() from error

    def _head(self) -> dict[str, Any]:
        """Read the next answer's line, and take note of what it says of the clip.

        Raises:
            InputError: What the worker says, or that it is gone.
        """
        try:
            head: dict[str, Any] = json.loads(self._answers.readline())  # nothing: ValueError
        except (OSError, ValueError) as error:
            raise self._ended() from error
        if "error" in head:
            raise _ERRORS.get(head["error"], UnreadableVideo)(str(head.get("message")))
        self._lossy = bool(head["lossy"])
        self._notes[:] = map(str, head.get("notes", self._notes))
        return head

    def _pixels(self, head: Mapping[str, Any]) -> "np.ndarray[Any, np.dtype[Any]]":
        height, width, channels = head["shape"]
        buffer = bytearray(height * width * channels * head["bits"] // 8)
        try:
            fill(memoryview(buffer), self._answers)
        except (OSError, ValueError, EOFError) as error:
            raise self._ended() from error
        return np.frombuffer(buffer, f"uint{head['bits']}").reshape(height, width, channels)

    def _ended(self) -> InputError:
        """Say how the worker ended."""
        end = end_of(self._worker)
        self._stop()
        if end is None:
            return UnreadableVideo(f"{self.path}: its decoder returned invalid data; it is damaged")
        if end.crashed:
            return UnreadableVideo(
                f"{self.path}: its decoder crashed ({end.how}); the file is damaged"
            )
        return InputError(
            f"{self.path}: its decoder was killed ({end.how}); the frames that are done are kept. "
            "hint: run the same command again"
        )


def _info(plain: Mapping[str, Any]) -> ClipInfo:
    whole: dict[str, Any] = dict(plain)
    whole |= {name: Fraction(plain[name]) for name in ("time_base", "rate", "aspect")}
    whole["colour"] = Colour(**plain["colour"])
    return ClipInfo(**whole)
