"""Ctrl-C and SIGTERM between steps, never in the middle of one."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_held_back"]


@contextmanager
def interrupts_held_back() -> Generator[Callable[[], bool]]:
    """Hold back SIGINT and SIGTERM, and tell whether there has been one.

    A step changes weights, averages and counts one after the other; interrupted in between, a
    checkpoint would hold half a step. Outside the main thread nothing is held back.

    Yields:
        What says whether there has been a signal.
    """
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)

    here = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if here else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
