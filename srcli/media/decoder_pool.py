"""Decoder processes that read several images at once."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from srcli.media.decoder_process import Decoded, DecodeLimits, DecoderProcess
from srcli.media.image import ImageInfo

__all__ = ["DecoderPool"]


class DecoderPool:
    """Decoder processes for callers in several threads, started as they are needed.

    Used as a context manager.

    Args:
        limits: What one file may take.
        most: Processes at once; further callers wait.
    """

    def __init__(self, limits: DecodeLimits, most: int = 1) -> None:
        self.limits = limits
        self._most = most
        self._all: list[DecoderProcess] = []
        self._idle: list[DecoderProcess] = []
        self._changed = threading.Condition()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def allow(self, most: int) -> None:
        """Set the number of processes at once; those that run go on."""
        with self._changed:
            self._most = most
            self._changed.notify_all()

    def close(self) -> None:
        """Stop all processes, whatever they do."""
        self._closed = True
        for decoder in self._all:
            decoder.close()

    def abandon(self) -> None:
        """Kill all processes, from any thread; see `DecoderProcess.abandon`."""
        self._closed = True
        for decoder in self._all:
            decoder.abandon()

    def read(self, path: Path, page: int = 0) -> Decoded:
        """Decode an image whole; see `DecoderProcess.read`.

        Raises:
            UnreadableImage: It cannot be decoded.
            ImageTooLarge: It is beyond a limit.
        """
        with self._decoder() as decoder:
            return decoder.read(path, page)

    def probe(self, path: Path) -> ImageInfo:
        """Read the header; see `DecoderProcess.probe`.

        Raises:
            UnreadableImage: See `read`.
            ImageTooLarge: See `read`.
        """
        with self._decoder() as decoder:
            return decoder.probe(path)

    @contextmanager
    def _decoder(self) -> Generator[DecoderProcess]:
        """A decoder that nobody else uses meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or len(self._all) < self._most)
            if self._idle:
                decoder = self._idle.pop()
            else:
                decoder = DecoderProcess(self.limits)
                self._all.append(decoder)
                if self._closed:  # in another thread, which has not seen this one
                    decoder.close()
        try:
            yield decoder
        finally:
            with self._changed:
                self._idle.append(decoder)
                self._changed.notify()
