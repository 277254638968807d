"""One line to those who wait for a long clip: which network would be quicker."""

from pathlib import Path

from srcli.cli.pace import VideoProgress
from srcli.errors import UnknownModel, UnknownScale
from srcli.weights import best_scale

__all__ = ["SlowClipHint", "faster_model"]

_QUICK = "adaformer-s"
_LONG = 600  # seconds still to go, from which on the line is worth it
_WATCHED = 8  # frames after which the pace is believed


def faster_model(model: str, scale: float) -> str:
    """The small network, if it is not the one at work and there are weights of it here."""
    if model == _QUICK:
        return ""
    try:
        return best_scale(_QUICK, scale).model
    except (UnknownModel, UnknownScale):
        return ""


class SlowClipHint:
    """Watches how long a clip will take.

    Args:
        quicker: The network to name; empty if there is none.
    """

    def __init__(self, quicker: str) -> None:
        self._quicker = quicker
        self._pace = VideoProgress()
        self._first: dict[Path, int] = {}

    def line(self, clip: Path, done: int, total: int) -> str:
        """The hint, once in a run; empty otherwise. `total` is 0 if not known."""
        if not self._quicker:
            return ""
        self._pace.due(clip, done)
        rate = self._pace.rate(done)
        if done - self._first.setdefault(clip, done) < _WATCHED or not rate:
            return ""
        minutes = (total - done) / rate / 60
        if minutes * 60 < _LONG:
            return ""
        quicker, self._quicker = self._quicker, ""
        return (
            f"{clip}: about {minutes:.0f} minutes to go; -m {quicker} is the quicker network, "
            "with a little less detail"
        )
