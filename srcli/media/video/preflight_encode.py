"""Make the shortest clip of a kind before the long one, so that what cannot be is said at once."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from srcli.errors import UnwritableVideo
from srcli.media.video.choose_encoding import Encoding
from srcli.media.video.frames import ClipInfo
from srcli.media.video.mux import OtherStreams, mux_result
from srcli.media.video.segments import SegmentWriter

__all__ = ["preflight_encode"]

_LENGTH = Fraction(2)  # seconds of the other streams


def preflight_encode(
    encoding: Encoding, info: ClipInfo, target: Path, rest: OtherStreams | None, room: Path
) -> None:
    """Encode one black frame and join it with the beginning of everything else.

    Args:
        encoding: How.
        info: Of the result.
        target: What will be made; this leaves nothing there.
        rest: Everything else; None if there is nothing else.
        room: A folder on the target's disk to do it in.

    Raises:
        UnwritableVideo: The encoder does not take such frames, or the container not what is to
            go into it.
    """
    with TemporaryDirectory(prefix="trial", dir=room) as folder:
        writer = SegmentWriter(Path(folder, "one.mkv"), encoding, info)
        try:
            black = np.zeros((info.height, info.width, 3), np.uint8)
            writer.add(0, 1, black)
            segment = writer.finish()
        except BaseException:
            writer.discard()
            raise
        trial = Path(folder, f"trial{target.suffix}")
        try:
            mux_result([segment], info, trial, rest, _LENGTH)
        except UnwritableVideo as error:
            raise UnwritableVideo(str(error).replace(str(trial), str(target))) from error
