"""A clip decoder's own process: requests on stdin, frames on stdout; it ends when its parent does.

Requests and answers are lines of JSON, a frame's followed by its pixels. Nothing is unpickled.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np

from srcli.errors import InputError, UnreadableVideo, UsageError
from srcli.media.video.decode import ClipReader
from srcli.media.video.frames import ClipInfo
from srcli.media.video.probe import DecodeOptions

__all__ = ["serve"]


def serve() -> None:
    """Open the clip of the first request, then answer the others until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: our parent's business
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a codec prints must not end up among the answers
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    asked: dict[str, Any] = json.loads(requests.get())
    path = Path(os.fsdecode(bytes.fromhex(asked["path"])))
    try:
        try:
            clip = ClipReader(path, _options(asked))
            _send(answers, {"info": _as_json(clip.info), **_state(clip)})
            while True:
                _answer(clip, json.loads(requests.get()), answers)
        except (InputError, UsageError) as error:
            _send(answers, {"error": type(error).__name__, "message": str(error)})
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                return
            message = f"{path}: {error.strerror or error}"
            _send(answers, {"error": UnreadableVideo.__name__, "message": message})
    except BrokenPipeError:
        return


def _listen(requests: "queue.Queue[bytes]") -> None:
    """Pass requests on; at their end whatever is being decoded is of no use any more."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _answer(clip: ClipReader, asked: Mapping[str, Any], answers: BufferedWriter) -> None:
    if asked["do"] == "recount":
        clip.recount()
        _send(answers, _state(clip))
        return
    if asked["do"] == "times":
        times = clip.times()
        _send(answers, {"times": times, **_state(clip)})
        return
    for frame in clip.frames(asked["done"], asked["last"], asked["most"]):
        head = {"pts": frame.pts, "duration": frame.duration, "lossy": clip.lossy}
        pixels = np.ascontiguousarray(frame.pixels)
        _send(answers, {**head, "shape": pixels.shape, "bits": pixels.itemsize * 8}, pixels.data)
    _send(answers, _state(clip))


def _state(clip: ClipReader) -> dict[str, object]:
    return {"notes": clip.notes, "lossy": clip.lossy}


def _options(asked: Mapping[str, Any]) -> DecodeOptions:
    duration = asked["duration"]
    return DecodeOptions(
        Fraction(asked["start"]),
        None if duration is None else Fraction(duration),
        asked["deinterlace"],
        asked["hdr"],
    )


def _as_json(info: ClipInfo) -> dict[str, object]:
    plain: dict[str, object] = asdict(info)
    return plain | {name: str(plain[name]) for name in ("time_base", "rate", "aspect")}


def _send(
    answers: BufferedWriter, head: Mapping[str, object], pixels: memoryview | None = None
) -> None:
    answers.write(json.dumps(head).encode("ascii") + b"\n")
    if pixels is not None:
        answers.write(pixels.cast("B"))
    answers.flush()
