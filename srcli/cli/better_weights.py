"""One line to those who run the bundled weights: better ones are available, and how."""

import contextlib
import sys

from srcli.cli.upscale_options import Engine
from srcli.defaults import AUTO, MODEL
from srcli.transfer.policy import is_switched_on
from srcli.weights import Source, WeightsEntry, better_than, figure_of
from srcli.weights.local_files import records

__all__ = ["better_weights_line"]

_TOLD = "told_of_better_weights"


def better_weights_line(engine: Engine, weights: WeightsEntry) -> str:
    """Name weights better than the bundled ones, for the summary; "" if there are none to name.

    None are named where another network was chosen, where downloads are switched off, and where
    better weights are here. A person at a terminal is told once, a log every time.
    """
    offline = engine.offline or is_switched_on("SRCLI_OFFLINE")
    if engine.model not in (AUTO, MODEL) or weights.source is not Source.BOX or offline:
        return ""
    better = better_than(weights)
    if better is None or (sys.stdout.isatty() and not _first_time()):
        return ""
    figures = f"Set5 {figure_of(better):.2f} dB, not {figure_of(weights):.2f}"
    return f"better ones ({figures}) are available: -m {better.model}"


def _first_time() -> bool:
    """Record that somebody was told; True the first time."""
    told = records() / _TOLD
    if told.exists():
        return False
    with contextlib.suppress(OSError):  # a folder that cannot be written: told again next time
        told.parent.mkdir(parents=True, exist_ok=True)
        told.touch()
    return True
