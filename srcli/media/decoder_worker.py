"""The decoder's own process: requests from stdin, answers on stdout; ends when its parent does.

A request is a line of JSON. The answer is a line of JSON, followed by the bytes that it announces.
Nothing is unpickled on either side.
"""

import contextlib
import hashlib
import json
import os
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import asdict
from io import BufferedWriter
from pathlib import Path

import numpy as np

from srcli.errors import ImageTooLarge, InputError, UnreadableImage
from srcli.media.image import DecodedImage, ImageInfo
from srcli.media.read import probe, read_image

__all__ = ["serve"]

_GRACE_SECONDS = 30  # after our parent should have stopped us: it is dead
_READ_WHOLE = 1 << 28  # bytes of a file that are held in memory beside its pixels, at most
_LONGEST_SECONDS = 1e9  # that an alarm takes everywhere


def serve() -> None:
    """Answer requests until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: our parent's business
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a codec prints must not end up among the answers
    for line in sys.stdin.buffer:
        request: dict[str, str | float] = json.loads(line)
        path = Path(os.fsdecode(bytes.fromhex(str(request["path"]))))
        _limit_memory(int(request["memory"]))
        if hasattr(signal, "alarm"):
            signal.alarm(int(min(float(request["seconds"]), _LONGEST_SECONDS)) + _GRACE_SECONDS)
        try:
            _answer(path, request, answers)
        except BrokenPipeError:
            return
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _answer(path: Path, request: dict[str, str | float], answers: BufferedWriter) -> None:
    megapixels = float(request["megapixels"])
    parts: Sequence[bytes | memoryview] = ()
    try:
        if request["do"] == "probe":
            info = probe(path, max_megapixels=megapixels)
            head, parts = (
                {
                    "info": _rows(info, *info.later_pages),
                    "compression": asdict(info.compression),
                },
                (),
            )
        else:
            head, parts = _read(path, megapixels, int(request["file_bytes"]), int(request["page"]))
    except InputError as error:
        head = {"error": type(error).__name__, "message": str(error)}
    except OSError as error:
        head = {"error": UnreadableImage.__name__, "message": f"{path}: {error.strerror or error}"}
    except MemoryError:
        head = {
            "error": ImageTooLarge.__name__,
            "message": f"{path}: decoding takes too much memory; raise --max-memory or shrink it",
        }
    answers.write(json.dumps(head).encode("ascii") + b"\n")
    for part in parts:
        answers.write(part)
    answers.flush()


def _read(
    path: Path, megapixels: float, file_bytes: int, page: int
) -> tuple[dict[str, object], Sequence[bytes | memoryview]]:
    before = path.stat()
    if before.st_size > file_bytes:
        raise ImageTooLarge(
            f"{path}: {before.st_size} bytes, limit {file_bytes}; raise --max-file-size"
        )
    content: bytes | None = None
    sha256 = ""
    if not page:
        content, sha256 = _content_of(path, before)
    image = read_image(path, max_megapixels=megapixels, page=page, content=content)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnreadableImage(f"{path}: changed while it was read; hint: run the command again")
    blobs = image.metadata.blobs
    head: dict[str, object] = {
        "shape": image.pixels.shape,
        "bits": image.bits,
        "format": image.format,
        "lossless": image.lossless,
        "left_out": image.left_out,
        "later_pages": _rows(*image.later_pages),
        "dropped": image.dropped,
        "precision": image.precision,
        "compression": asdict(image.compression),
        "dpi": image.metadata.dpi,
        "blobs": {name: len(blob) for name, blob in blobs.items()},
        "size": before.st_size,
        "mtime_ns": before.st_mtime_ns,
        "sha256": sha256,
    }
    return head, (*blobs.values(), _bytes_of(image))


def _content_of(path: Path, state: os.stat_result) -> tuple[bytes | None, str]:
    """Content and sha256 of a file, read once; of a very large one and of no file, nothing else."""
    if not stat.S_ISREG(state.st_mode):
        return None, ""
    if state.st_size > _READ_WHOLE:
        with path.open("rb") as stream:
            return None, hashlib.file_digest(stream, "sha256").hexdigest()
    content = path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()


def _rows(*pages: ImageInfo) -> list[tuple[object, ...]]:
    """The arguments of `ImageInfo`, page by page."""
    return [(p.format, p.width, p.height, p.channels, p.bits, p.lossless, p.reduced) for p in pages]


def _bytes_of(image: DecodedImage) -> memoryview:
    return np.ascontiguousarray(image.pixels).data.cast("B")


def _limit_memory(extra: int) -> None:
    """Let the address space grow by `extra` bytes beyond what we take at rest, where it can be."""
    if sys.platform != "linux":
        return
    import resource

    if not _AT_REST:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _AT_REST.append(pages * resource.getpagesize())
    limit = _AT_REST[0] + extra
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


_AT_REST: list[int] = []
