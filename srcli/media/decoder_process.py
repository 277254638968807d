"""Decode in a process of its own, within limits: no file can crash, hang or starve the run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Self, TypeVar

import numpy as np

from srcli.errors import ImageTooLarge, InputError, UnreadableImage
from srcli.media.image import DecodedImage, ImageInfo, Metadata

__all__ = ["DecodeLimits", "Decoded", "DecoderProcess"]


@dataclass(frozen=True)
class DecodeLimits:
    """Limits for one input.

    Args:
        megapixels: Of the image, in millions.
        file_bytes: Of the file.
        memory: Bytes of address space of the decoder, beyond what it takes at rest; where the
            system limits that (Linux).
        seconds: Of wall time for one file.
    """

    megapixels: float = 512.0
    file_bytes: int = 4 << 30
    memory: int = 8 << 30
    seconds: float = 120.0


_ROOT = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from srcli.media.decoder_worker import serve; serve()"
)
_STEP_SECONDS = 0.5
_LONGEST_LINE = 1 << 20  # of a file with thousands of pages
_CHUNK_BYTES = 1 << 22
_Head = dict[str, Any]
Answer = TypeVar("Answer")
_CRASHES = frozenset(("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP"))
_ERRORS = MappingProxyType(
    {kind.__name__: kind for kind in (InputError, UnreadableImage, ImageTooLarge)}
)


@dataclass(frozen=True)
class Decoded:
    """An image, and the state of the file that it was read from.

    Args:
        image: See `read_image`.
        size: Bytes of the file.
        mtime_ns: Of the file.
        sha256: Of the file, hexadecimal; empty for a further page.
    """

    image: DecodedImage
    size: int
    mtime_ns: int
    sha256: str


class _WorkerKilled(UnreadableImage):
    """Somebody else has killed the worker: this says nothing of the file."""


class DecoderProcess:
    """Reads images in a worker process, which is replaced when it dies; a context manager.

    A file whose decoder crashes fails alone; one whose decoder somebody killed is read again, once.

    Args:
        limits: What one file may take.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self.limits = limits
        self.replaced = 0
        """Number of workers that died or were stopped."""
        self._worker: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker, whatever it does."""
        self._closed = True
        worker = self._worker
        if worker is not None:
            _stop(worker)

    def abandon(self) -> None:
        """Kill the worker, from any thread: who waits for it is told that the run has stopped."""
        self._closed = True
        if self._worker is not None:
            self._worker.kill()

    def read(self, path: Path, page: int = 0) -> Decoded:
        """Decode an image whole; see `read_image`. Of further pages the file is not hashed.

        Raises:
            UnreadableImage: It cannot be decoded, or the decoder crashed or took too long.
            ImageTooLarge: It is beyond a limit.
        """
        return self._request(path, "read", self._decoded, page)

    def probe(self, path: Path) -> ImageInfo:
        """Read the header; see `probe`.

        Raises:
            UnreadableImage: See `read`.
            ImageTooLarge: See `read`.
        """
        return self._request(path, "probe", _info)

    def _request(
        self, path: Path, do: str, take: Callable[[_Head, IO[bytes]], Answer], page: int = 0
    ) -> Answer:
        with self._lock:
            try:
                return self._request_once(path, do, take, page)
            except _WorkerKilled:
                return self._request_once(path, do, take, page)

    def _request_once(
        self, path: Path, do: str, take: Callable[[_Head, IO[bytes]], Answer], page: int
    ) -> Answer:
        worker = self._ensure_running()
        request = {
            "do": do,
            "path": os.fsencode(path).hex(),
            "page": page,
            "megapixels": self.limits.megapixels,
            "file_bytes": self.limits.file_bytes,
            "memory": self.limits.memory,
            "seconds": self.limits.seconds,
        }
        assert worker.stdin is not None
        assert worker.stdout is not None
        watchdog = _Watchdog(worker, self.limits.seconds)
        try:
            worker.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            worker.stdin.flush()
            head: _Head = json.loads(worker.stdout.readline(_LONGEST_LINE))  # nothing: ValueError
            if "error" not in head:
                return take(head, worker.stdout)
        except (EOFError, OSError, ValueError, LookupError, TypeError) as error:
            raise self._end_process(path, worker, watchdog) from error
        finally:
            watchdog.cancel()
        raise _ERRORS.get(head["error"], UnreadableImage)(str(head.get("message")))

    def _ensure_running(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise UnreadableImage("the decoder is closed: the run has been stopped")
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            if self._closed:  # meanwhile
                self._worker.kill()
        return self._worker

    def _end_process(
        self, path: Path, worker: "subprocess.Popen[bytes]", watchdog: "_Watchdog"
    ) -> InputError:
        """The worker is gone, or talks nonsense: make an end of it and say what happened."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(_STEP_SECONDS)
        code = worker.poll()
        _stop(worker)
        self._worker = None
        self.replaced += 1
        if self._closed:
            return UnreadableImage(f"{path}: not read, the run has been stopped")
        if watchdog.fired:
            return UnreadableImage(
                f"{path}: decoding takes longer than {self.limits.seconds:g} s; raise --max-seconds"
            )
        if code is None:
            return UnreadableImage(
                f"{path}: the decoder returned invalid data; the file is damaged"
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code < 0 and how not in _CRASHES:
            return _WorkerKilled(
                f"{path}: not read, its decoder was killed twice ({how}); the file may be sound; "
                "hint: run the command again, with more free memory"
            )
        return UnreadableImage(f"{path}: its decoder crashed ({how}); the file is damaged")

    def _decoded(self, head: _Head, stream: IO[bytes]) -> Decoded:
        height, width, channels = head["shape"]
        if not (height > 0 < width and channels in (1, 2, 3, 4)):
            raise ValueError(f"shape {head['shape']}")
        if height * width > self.limits.megapixels * 1e6:
            raise ValueError(f"{width}x{height} beyond the limit")
        blobs: dict[str, bytes] = {}
        for name, length in head["blobs"].items():
            blobs[name] = stream.read(length)
        buffer = bytearray(height * width * channels * int(head["bits"]) // 8)
        _fill(memoryview(buffer), stream)
        deep = head["bits"] == 16
        flat = np.frombuffer(buffer, np.uint16) if deep else np.frombuffer(buffer, np.uint8)
        pixels = flat.reshape(height, width, channels)
        dpi = head["dpi"]
        metadata = Metadata(dpi=(dpi[0], dpi[1]) if dpi else None, **blobs)
        image = DecodedImage(
            pixels,
            head["format"],
            metadata,
            head["lossless"],
            head["left_out"],
            tuple(ImageInfo(*one) for one in head["further"]),
            tuple(map(str, head["dropped"])),
        )
        return Decoded(image, head["size"], head["mtime_ns"], head["sha256"])


class _Watchdog:
    """Kills a worker after some seconds in which we ran; while we are suspended none pass."""

    def __init__(self, worker: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.fired = False
        self._worker, self._left = worker, seconds
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """The worker has answered."""
        self._cancelled.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._left > 0:
            began = time.monotonic()
            if self._cancelled.wait(min(_STEP_SECONDS, self._left)):
                return
            self._left -= min(time.monotonic() - began, 2 * _STEP_SECONDS)
        self.fired = True
        self._worker.kill()


def _stop(worker: "subprocess.Popen[bytes]") -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _info(head: _Head, _: IO[bytes]) -> ImageInfo:
    first, *further = (ImageInfo(*one) for one in head["info"])
    return replace(first, further=tuple(further))


def _fill(target: memoryview, stream: IO[bytes]) -> None:
    at = 0
    while at < len(target):
        part = stream.read(min(len(target) - at, _CHUNK_BYTES))
        if not part:
            raise EOFError
        target[at : at + len(part)] = part
        at += len(part)
