"""A file that PyAV writes into, whose first failure is the one that is told."""

from io import BufferedWriter

__all__ = ["Sink"]


class Sink:
    """Passes on what is written; after a failure it takes everything and keeps nothing.

    PyAV prints a traceback for every failure after the first, and closing a container writes.

    Args:
        stream: The file.
    """

    def __init__(self, stream: BufferedWriter) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, or pretend to."""
        if self._error is None:
            try:
                return self._stream.write(data)
            except OSError as error:
                self._error = error
                raise
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        return 0 if self._error else self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Where the file is."""
        return 0 if self._error else self._stream.tell()

    def check(self) -> None:
        """Raise what went wrong, if anything did: then the file is not whole."""
        if self._error is not None:
            raise self._error
