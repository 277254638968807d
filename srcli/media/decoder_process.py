"""Decode in a process of its own, within limits: no file can crash, hang or starve the run."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Self, TypeVar

import numpy as np

from srcli.errors import ImageTooLarge, InputError, UnreadableImage
from srcli.media.image import Compression, DecodedImage, ImageInfo, Metadata
from srcli.media.worker_process import Watchdog, end_of, fill, start_worker, stop_worker

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


_PROGRAM = "from srcli.media.decoder_worker import serve; serve()"
_LONGEST_LINE = 1 << 20  # of a file with thousands of pages
_Head = dict[str, Any]
Answer = TypeVar("Answer")
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
        self._watchdog = Watchdog()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker, whatever it does."""
        self._closed = True
        self._watchdog.close()
        worker = self._worker
        if worker is not None:
            stop_worker(worker)

    def abandon(self) -> None:
        """Kill the worker, from any thread; a pending read fails because the run has stopped."""
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
        watchdog = self._watchdog
        watchdog.begin(worker, self.limits.seconds)
        try:
            worker.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            worker.stdin.flush()
            head: _Head = json.loads(worker.stdout.readline(_LONGEST_LINE))  # nothing: ValueError
            if "error" not in head:
                return take(head, worker.stdout)
        except (EOFError, OSError, ValueError, LookupError, TypeError) as error:
            raise self._end_process(path, worker) from error
        finally:
            watchdog.end()
        raise _ERRORS.get(head["error"], UnreadableImage)(str(head.get("message")))

    def _ensure_running(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise UnreadableImage("the decoder is closed: the run has been stopped")
        if self._worker is None or self._worker.poll() is not None:
            self._worker = start_worker(_PROGRAM)
            if self._closed:  # meanwhile
                self._worker.kill()
        return self._worker

    def _end_process(self, path: Path, worker: "subprocess.Popen[bytes]") -> InputError:
        """The worker is gone, or talks nonsense: make an end of it and say what happened."""
        end = end_of(worker)
        stop_worker(worker)
        self._worker = None
        self.replaced += 1
        if self._closed:
            return UnreadableImage(f"{path}: not read, the run has been stopped")
        if self._watchdog.fired:
            return UnreadableImage(
                f"{path}: decoding takes longer than {self.limits.seconds:g} s; raise --max-seconds"
            )
        if end is None:
            return UnreadableImage(
                f"{path}: the decoder returned invalid data; the file is damaged"
            )
        if not end.crashed:
            return _WorkerKilled(
                f"{path}: not read, its decoder was killed twice ({end.how}); the file may be "
                "intact; hint: run the command again, with more free memory"
            )
        return UnreadableImage(f"{path}: its decoder crashed ({end.how}); the file is damaged")

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
        fill(memoryview(buffer), stream)
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
            tuple(ImageInfo(*one) for one in head["later_pages"]),
            tuple(map(str, head["dropped"])),
            head["precision"],
            Compression(**head["compression"]),
        )
        return Decoded(image, head["size"], head["mtime_ns"], head["sha256"])


def _info(head: _Head, _: IO[bytes]) -> ImageInfo:
    first, *later = (ImageInfo(*one) for one in head["info"])
    compression = Compression(**head["compression"])
    return replace(first, later_pages=tuple(later), compression=compression)
