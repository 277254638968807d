"""Signs of life of long work, for logs and for people who wait."""

import threading
import time
from collections.abc import Callable
from typing import Self

__all__ = ["Heartbeat"]

_FIRST = 0.5  # s; what is over sooner needs no line. Python and click take a second before it
_BETWEEN = 30.0  # s


class Heartbeat:
    """Says that long work continues, soon and then whenever nothing was said for half a minute.

    Used as a context manager around the work; the lines come from a thread of its own.

    Args:
        say: Takes a line.
        work: The work in words, such as "reading my.pth"; later lines take what it is then.
        first: Seconds until the first line; None for half a second.
    """

    def __init__(self, say: Callable[[str], None], work: str, first: float | None = None) -> None:
        self._say, self.work = say, work
        self._began = time.monotonic()
        self._due = self._began + (_FIRST if first is None else first)
        self._spoke = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def heard(self) -> None:
        """Note that something else has been said."""
        self._spoke = True
        self._due = time.monotonic() + _BETWEEN

    def stop(self) -> None:
        """Say nothing any more."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(max(0.0, self._due - time.monotonic())):
            if time.monotonic() < self._due:
                continue  # something was said meanwhile
            minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
            spoke = self._spoke
            self.heard()
            self._say(f"{self.work}: {minutes}:{seconds:02} so far" if spoke else self.work)
