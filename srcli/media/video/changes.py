"""Refuse or report what changes midway in a clip."""

from fractions import Fraction
from pathlib import Path

from srcli.errors import UnreadableVideo
from srcli.media.video.probe import DecodeOptions
from srcli.media.video.scan import Scan, seconds_text

__all__ = ["changed", "refuse_changes"]


def refuse_changes(path: Path, reading: DecodeOptions, found: Scan) -> list[str]:
    """Look at what changes within the requested part.

    Returns:
        One line for each change that the result does not follow.

    Raises:
        UnreadableVideo: No one result can hold it.
    """
    stop = None if reading.duration is None else reading.start + reading.duration
    before = found.look_at(reading.start)
    notes: list[str] = []
    for change in found.changes(reading.start, stop):
        assert before is not None
        was, now = before.look, change.look
        if (was.width, was.height) != (now.width, now.height):
            what = f"its frames change from {was.width}x{was.height} to {now.width}x{now.height}"
            raise changed(path, what, change.moment, reading)
        if now.interlaced and not was.interlaced and not reading.deinterlace:
            raise changed(path, "becomes interlaced", change.moment, reading)
        if was.hdr != now.hdr and reading.hdr != "sdr":
            raise changed(path, "changes between SDR and HDR", change.moment, reading)
        for what, first, later in (
            ("pixel aspect", was.aspect, now.aspect),
            ("rotation", was.turned, now.turned),
        ):
            if first != later:
                notes.append(
                    f"{path}: the {what} changes from {first} to {later} at "
                    f"{seconds_text(change.moment)} s; the result keeps the first: take the parts "
                    f"{_parts(change.moment, reading)} to keep each"
                )
        before = change
    return notes


def changed(path: Path, what: str, moment: Fraction, reading: DecodeOptions) -> UnreadableVideo:
    """The error for a change that no one result can hold.

    Args:
        path: The clip's.
        what: Changes, in words.
        moment: When, seconds after the clip's beginning.
        reading: Options of decoding, among them the part to decode.
    """
    way = " Or use --deinterlace for all of it." if "interlaced" in what else ""
    return UnreadableVideo(
        f"{path}: {what} at {seconds_text(moment)} s, and one clip cannot hold both. "
        f"hint: take its parts one by one, {_parts(moment, reading)}.{way}"
    )


def _parts(moment: Fraction, reading: DecodeOptions) -> str:
    """The options that give what is before a moment, and what is after it."""
    first = f"--duration {seconds_text(moment - reading.start)}"
    if reading.start:
        first = f"--start {seconds_text(reading.start)} {first}"
    return f"with {first} and with --start {seconds_text(moment)}"
