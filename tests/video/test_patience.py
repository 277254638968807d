"""Those who wait long are told what is quicker, once, and only if it is there."""

from pathlib import Path

import pytest

from srcli.cli import video_progress
from srcli.cli.slow_clip_hint import SlowClipHint, faster_model
from srcli.errors import UnknownModel

CLIP = Path("film.mp4")


class Clock:
    """Stands in for the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(video_progress, "time", made)
    return made


def lines(
    clock: Clock, patience: SlowClipHint, seconds: float, total: int, start: int = 0
) -> list[str]:
    """Messages while 30 frames take `seconds` each."""
    said = []
    for done in range(start, start + 31):
        said.append(patience.line(CLIP, done, total))
        clock.now += seconds
    return [line for line in said if line]


def test_a_long_clip_is_remarked_once(clock: Clock) -> None:
    (line,) = lines(clock, SlowClipHint("adaformer-s"), 2.0, 3000)
    assert line.startswith("film.mp4: about 100 minutes to go; -m adaformer-s")


@pytest.mark.parametrize(
    ("quicker", "seconds", "total"), [("", 2, 3000), ("s", 0.1, 3000), ("s", 2, 0)]
)
def test_nothing_is_said_without_need(
    clock: Clock, quicker: str, seconds: float, total: int
) -> None:
    assert lines(clock, SlowClipHint(quicker), seconds, total) == []


def test_a_clip_gone_on_with_is_judged_by_this_run(clock: Clock) -> None:
    (line,) = lines(clock, SlowClipHint("s"), 2.0, 3000, start=1500)
    assert "about 50 minutes" in line


def test_only_weights_that_are_here_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faster_model("adaformer-s", 2) == ""

    def none(model: str, scale: float) -> object:
        raise UnknownModel(model)

    monkeypatch.setattr("srcli.cli.slow_clip_hint.best_scale", none)
    assert faster_model("adaformer", 2) == ""
