"""Processes of our own that decode: started, watched over, stopped, and how they ended."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["End", "Watchdog", "end_of", "fill", "start_worker", "stop_worker"]

_ROOT = Path(__file__).parents[2]
_BEFORE = "import sys; sys.path.insert(0, sys.argv[1]); "
_STEP_SECONDS = 0.5
_CHUNK_BYTES = 1 << 22
_CRASHES = frozenset(("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP"))


@dataclass(frozen=True)
class End:
    """End of a process.

    Args:
        how: A signal's name, or the exit code, in words.
        crashed: It ended by itself: nobody else has killed it.
    """

    how: str
    crashed: bool


def start_worker(program: str) -> "subprocess.Popen[bytes]":
    """Start Python with a program that finds this srcli, and pipes in and out."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"{_BEFORE}{program}", str(_ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def end_of(worker: "subprocess.Popen[bytes]") -> End | None:
    """End of a worker that no longer answers; None if it still runs, and so sent invalid data."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(_STEP_SECONDS)
    code = worker.poll()
    if code is None:
        return None
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return End(how, crashed=code >= 0 or how in _CRASHES)


def stop_worker(worker: "subprocess.Popen[bytes]") -> None:
    """Kill a worker, whatever it does, and close its pipes."""
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def fill(target: memoryview, stream: IO[bytes]) -> None:
    """Read as many bytes as there is room for.

    Raises:
        EOFError: The stream ends before.
    """
    at = 0
    while at < len(target):
        part = stream.read(min(len(target) - at, _CHUNK_BYTES))
        if not part:
            raise EOFError
        target[at : at + len(part)] = part
        at += len(part)


class Watchdog:
    """Kills a worker after some seconds in which we ran; while we are suspended none pass.

    One thread for all requests, for starting one takes longer than reading a header. It looks
    every half second, so that a request may get that much more time.
    """

    def __init__(self) -> None:
        self.fired = False
        """True if the last request took too long."""
        self._worker: subprocess.Popen[bytes] | None = None
        self._left, self._request = 0.0, 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._idle = self._closed = False

    def begin(self, worker: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Watch over a request."""
        with self._changed:
            self.fired = False
            self._worker, self._left = worker, seconds
            self._request += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            elif self._idle:
                self._changed.notify()

    def end(self) -> None:
        """The worker has answered, or is gone."""
        with self._changed:
            self._worker = None

    def close(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                self._idle = self._worker is None
                request, began = self._request, time.monotonic()
                self._changed.wait(None if self._idle else min(_STEP_SECONDS, self._left))
                if not self._idle and request == self._request:
                    self._left -= min(time.monotonic() - began, 2 * _STEP_SECONDS)
                    self._kill_if_late()

    def _kill_if_late(self) -> None:
        if self._worker is not None and self._left <= 0:
            self.fired = True
            self._worker.kill()
            self._worker = None
