"""The process of a training run: when it began, how it is interrupted, how it ends."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from srcli.errors import ExitCode, SrcliError

__all__ = ["interrupts_held_back", "process_began", "run_program"]

_LONGEST = 3600.0  # s; a process that seems older had its clock set meanwhile
_STOPPING = b"srcli: stopping after this step; once more to stop at once\n"


def process_began() -> float:
    """When this process began, by `time.monotonic`: before Python and torch were loaded."""
    age = time.time() - psutil.Process().create_time()
    return time.monotonic() - (age if 0.0 <= age <= _LONGEST else 0.0)


def run_program(work: Callable[[], ExitCode]) -> int:
    """Run a program of `python -m` and return its exit code, on a machine that may lack click.

    An error of srcli's becomes one line on stderr.
    """
    try:
        return work()
    except SrcliError as error:
        sys.stderr.write(f"srcli: {error}\n")
        return error.exit_code


@contextmanager
def interrupts_held_back() -> Generator[Callable[[], bool]]:
    """Hold back the first SIGINT or SIGTERM; the flag says whether there was one.

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
