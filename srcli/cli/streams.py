"""Standard streams whose errors never stop the work; they are reported at its end.

A batch whose stderr is a closed pipe or a full disk is done all the same. What a stream refused is
kept, and decides about the exit code; a reader that went away (EPIPE) is no error.
"""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:  # has no name at run time before Python 3.12
    from _typeshed import ReadableBuffer
else:
    ReadableBuffer = bytes | bytearray | memoryview

__all__ = ["StandardStreams"]


class _ForgivingWriter(io.RawIOBase):
    """Writes to a stream's file until that fails; then it keeps the error and writes nothing."""

    def __init__(self, inner: io.RawIOBase | io.BufferedIOBase) -> None:
        super().__init__()
        self._inner = inner
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._inner.fileno()

    def isatty(self) -> bool:
        return self._inner.isatty()

    def write(self, content: ReadableBuffer, /) -> int:
        size = memoryview(content).nbytes
        if self.error is None:
            try:
                return self._inner.write(content) or 0
            except OSError as error:
                self.error = error
        return size


class StandardStreams:
    """stdin, stdout and stderr of the process, made so that no write to them raises."""

    def __init__(self) -> None:
        self._writers: dict[str, _ForgivingWriter] = {}

    def install(self) -> None:
        """Open what is closed on the null device, and put the forgiving writers in place."""
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
            elif _has_file(stream):
                forgiving, writer = _forgiving(stream)
                self._writers[name] = writer
                setattr(sys, name, forgiving)

    def error(self) -> str:
        """Why a stream did not take everything, in one line; "" if both did, or nobody reads."""
        for name, writer in self._writers.items():
            getattr(sys, name).flush()
            if writer.error is not None and not _is_unread(writer.error):
                return (
                    f"{name}: {writer.error.strerror}: not everything could be printed; the work "
                    "itself continued"
                )
        return ""


def _has_file(stream: io.TextIOBase) -> bool:
    """True if a text stream writes to a file of the system, and not into memory."""
    if not isinstance(stream, io.TextIOWrapper):
        return False
    try:
        stream.fileno()
    except OSError:
        return False
    return True


def _forgiving(stream: io.TextIOWrapper) -> tuple[io.TextIOBase, _ForgivingWriter]:
    """A text stream like this one, over a writer to its file that keeps errors."""
    stream.flush()
    raw = getattr(stream.buffer, "raw", None)
    writer = _ForgivingWriter(cast("io.RawIOBase", raw or stream.buffer))
    text = io.TextIOWrapper(
        cast("BinaryIO", io.BufferedWriter(writer) if raw else writer),  # none with `python -u`
        stream.encoding,
        stream.errors,
        line_buffering=bool(stream.line_buffering),
        write_through=raw is None,
    )
    return text, writer


def _is_unread(error: OSError) -> bool:
    return error.errno == errno.EPIPE
