"""Speed of a clip or an image, and the time left, in words for a log."""

import math
import time
from pathlib import Path

__all__ = ["ImagePace", "VideoProgress", "in_words"]

_EVERY = 10.0  # seconds between two lines of a log
_EVERY_IMAGE = 30.0


class VideoProgress:
    """Watches one clip after the other."""

    def __init__(self) -> None:
        self._clip: Path | None = None
        self._begun = 0.0
        self._told = 0.0
        self._before = 0

    def due(self, clip: Path, done: int) -> bool:
        """Note that `done` frames are done; whether it is time for another line."""
        now = time.monotonic()
        if clip != self._clip:
            self._clip, self._begun, self._told, self._before = clip, now, now, done
            return done > 0  # a former run has left some: worth a line
        if now - self._told < _EVERY:
            return False
        self._told = now
        return True

    def rate(self, done: int) -> float:
        """Frames a second in this run."""
        passed = time.monotonic() - self._begun
        return (done - self._before) / passed if passed > 0 else 0.0

    def words(self, done: int, total: int) -> str:
        """`240 of 3000 frames, 3.1 fps, 14:50 left`."""
        of = f" of {total}" if total else ""
        rate = self.rate(done)
        if not rate:
            return f"going on after {done}{of} frames"
        minutes, seconds = divmod(round(max(total - done, 0) / rate), 60)
        left = f", {minutes}:{seconds:02} left" if total else ""
        return f"{done}{of} frames, {rate:.1f} fps{left}"


class ImagePace:
    """Watches one image after the other, for lines of a log about those that take long."""

    def __init__(self) -> None:
        self._image: Path | None = None
        self._share = self._begin = 0.0  # the latest, and the first that was heard of
        self._begun = 0.0
        self._told = 0.0

    def line(self, image: Path, share: float) -> str:
        """`40 %, about 50 s left` twice a minute; "" between.

        Args:
            image: What is computed.
            share: Of it, in (0, 1].
        """
        now = time.monotonic()
        if image != self._image or share < self._share:
            self._image, self._begun, self._told, self._begin = image, now, now, share
        self._share = share
        if now - self._told < _EVERY_IMAGE or share >= 1:
            return ""
        self._told = now
        left = (now - self._begun) * (1 - share) / max(share - self._begin, 1e-6)
        return f"{share:.0%}, about {in_words(left)} left"


def in_words(seconds: float) -> str:
    """Whole seconds, minutes or hours.

    >>> [in_words(one) for one in (1.2, 600, 86400)]
    ['2 s', '10 min', '24.0 h']
    """
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
