"""Ctrl-C and SIGTERM: the first waits for the step to end, the second does not."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["interrupts_held_back"]

_STOPPING = b"srcli: stopping after this step; once more to stop at once\n"


@contextmanager
def interrupts_held_back() -> Generator[Callable[[], bool]]:
    """Hold back the first SIGINT or SIGTERM, and tell whether there has been one.

    A step changes weights, averages and counts one after the other; interrupted in between, a
    checkpoint would hold half a step. The second signal raises `KeyboardInterrupt` wherever the
    run is. Outside the main thread nothing is held back.

    Yields:
        What says whether there has been a signal.
    """
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt
        with suppress(OSError):
            os.write(2, _STOPPING)  # no stream: one of them may just be in use

    here = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if here else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
