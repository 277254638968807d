"""Frames of clips as video codecs leave them."""

from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from srcli.errors import UsageError

if TYPE_CHECKING:
    from av.packet import Packet

    AnyPacket = Packet[Any] | None

__all__ = ["coded_by_h264", "require_h264"]

_FRAMES = 3  # the last one is predicted from those before it, as most frames of a clip are
_PRESET = "veryfast"


def require_h264() -> None:
    """Refuse to go on where there is no encoder.

    Raises:
        UsageError: PyAV is not installed.
    """
    if find_spec("av") is None:  # srcli.training runs without it
        raise UsageError("h264 needs PyAV, which is not here; hint: pip install av")


def coded_by_h264(image: NDArray[np.uint8], qp: int) -> NDArray[np.uint8]:
    """Encode an image as the last frame of a short pan by H.264 (x264, 4:2:0), and decode it.

    Args:
        image: (h, w, 3) RGB.
        qp: Quantisation parameter, 0 to 51; 18 is hardly seen, 28 is a stream of modest size.

    Returns:
        (h, w, 3); the same image always becomes the same.

    Raises:
        UsageError: PyAV is not installed.
    """
    require_h264()
    import av

    height, width = image.shape[:2]
    pan = _FRAMES - 1
    wide = np.pad(image, ((pan, height % 2), (pan, width % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = width + width % 2, height + height % 2
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {
        "preset": _PRESET,
        "tune": "zerolatency",
        "x264-params": f"qp={qp}:ipratio=1:threads=1",
    }
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoded: list[NDArray[np.uint8]] = []
    for number in range(_FRAMES + 1):  # after the last frame both are flushed
        frame = None
        if number < _FRAMES:
            view = wide[number : number + encoder.height, number : number + encoder.width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format="rgb24")
            frame.pts = number
        flush = [] if frame else [None]
        packets = cast("list[AnyPacket]", [*encoder.encode(frame), *flush])
        shown = (one for packet in packets for one in decoder.decode(packet))
        decoded += [one.to_ndarray(format="rgb24").astype(np.uint8) for one in shown]
    return decoded[-1][:height, :width]
