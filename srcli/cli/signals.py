"""Ctrl-C and SIGTERM: the first lets the present file finish, the second stops at once."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["graceful_shutdown"]

_STOPPING = b"srcli: stopping after the present file; once more to stop at once\n"


@contextmanager
def graceful_shutdown(
    hurry: Callable[[], None],
) -> Generator[threading.Event, None, None]:
    """Turn the first signal into an event, and the second into `KeyboardInterrupt`.

    Args:
        hurry: Called at the second signal: frees whatever other threads wait for.

    Yields:
        The event; set once the run is to stop.
    """
    stopping = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            hurry()
            raise KeyboardInterrupt
        stopping.set()
        with suppress(OSError):  # on a full disk
            os.write(2, _STOPPING)  # no stream: one of them may just be in use

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield stopping
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
