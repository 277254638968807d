"""Segments of a clip made as tasks of their own, in any order, give the clip that one run gives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.clip_tasks import MadeSegment, SegmentTask, make_segment
from srcli.jobs.job import CLIP, Job
from srcli.media.video import ClipReader, DecodeOptions, IsolatedClip, SequenceReader
from tests.video.conftest import Doubler, Recipe, make_clip, moving, upscaled

SETTINGS = ClipSettings(segment=8)
FRAMES = 30


class Elsewhere:
    """Makes tasks in reverse, each with a reader and a network of its own, but for some numbers."""

    def __init__(self, left_out: Sequence[int] = (), reader: Callable[..., object] = IsolatedClip):
        self.left_out, self.reader = left_out, reader
        self.asked: list[list[int]] = []

    def __call__(self, tasks: Sequence[SegmentTask]) -> Iterator[MadeSegment]:
        self.asked.append([int(task.path.stem) for task in tasks])
        for task in reversed(tasks):
            if int(task.path.stem) in self.left_out:
                continue
            source = self.reader(task.job.source, task.settings.reading)
            if made := make_segment(task, Doubler(batch=3), source):  # type: ignore[arg-type]
                yield made


def made_in_parts(
    source: Path, target: Path, maker: Elsewhere, settings: ClipSettings = SETTINGS
) -> tuple[tuple[str, ...], Doubler, list[tuple[int, int]]]:
    """Losses, the network of the run itself, and what it told."""
    here, told = Doubler(batch=3), list[tuple[int, int]]()
    notes, report = upscale_clip(
        Job(source, target, CLIP), here, settings, lambda *done: told.append(done), maker
    )
    assert report.frames == told[-1][0] - told[0][0]
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]
    return notes, here, told


SLOWER = pytest.mark.slow


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "mov"])
@pytest.mark.parametrize("isolated", [pytest.param(True, marks=SLOWER), False])
def test_clip_in_parts_has_the_bytes_of_one_made_in_order(
    tmp_path: Path, suffix: str, isolated: bool
) -> None:
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    varied = [n * 512 + (n * n) % 97 for n in range(FRAMES)]
    recipe = Recipe(codec=codec, options={"g": "12"}, times=varied, tones=suffix != "webm")
    source = make_clip(tmp_path / f"in.{suffix}", recipe)
    plain, parts = tmp_path / f"plain.{suffix}", tmp_path / f"parts.{suffix}"
    settings = replace(SETTINGS, isolated=isolated)
    expected = upscaled(source, plain, settings, Doubler(batch=3))
    maker = Elsewhere(reader=IsolatedClip if isolated else ClipReader)
    notes, here, told = made_in_parts(source, parts, maker, settings)
    assert parts.read_bytes() == plain.read_bytes()
    assert [note.replace("parts.", "plain.") for note in notes] == list(expected)
    assert maker.asked == [[0, 1, 2, 3]]
    assert not here.given
    assert told == [(0, 30), (6, 30), (14, 30), (22, 30), (30, 30), (30, 30)]


@pytest.mark.parametrize(
    "left_out",
    [[2], *(pytest.param(some, marks=SLOWER) for some in ([0], [1, 3], [0, 1, 2, 3]))],
)
def test_segments_that_nobody_makes_are_made_here(tmp_path: Path, left_out: list[int]) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(FRAMES, tones=1))
    plain, parts = tmp_path / "plain.mp4", tmp_path / "parts.mp4"
    upscaled(source, plain, SETTINGS, Doubler(batch=3))
    _, here, told = made_in_parts(source, parts, Elsewhere(left_out))
    assert parts.read_bytes() == plain.read_bytes()
    assert sum(here.given) == sum(6 if number == 3 else 8 for number in left_out)
    assert told[-1] == (30, 30)


@SLOWER
def test_part_of_a_clip_with_reused_results(tmp_path: Path) -> None:
    def still(number: int, width: int, height: int) -> np.ndarray:
        return moving(number // 7, width, height)

    source = make_clip(tmp_path / "in.mkv", Recipe(60, codec="ffv1", options={}, image=still))
    settings = replace(
        SETTINGS, temporal="exact", reading=DecodeOptions(Fraction(1, 2), Fraction(1))
    )
    plain, parts = tmp_path / "plain.mkv", tmp_path / "parts.mkv"
    upscaled(source, plain, settings, Doubler(batch=3))
    maker = Elsewhere()
    made_in_parts(source, parts, maker, settings)
    assert parts.read_bytes() == plain.read_bytes()
    assert maker.asked == [[0, 1, 2, 3]]


def test_numbered_images(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(20):
        Image.fromarray(moving(number, 32, 24)).save(tmp_path / "frames" / f"{number:03}.png")
    source, settings = tmp_path / "frames" / "%03d.png", replace(SETTINGS, rate=Fraction(25))
    plain, parts = tmp_path / "plain.mp4", tmp_path / "parts.mp4"
    upscaled(source, plain, settings, Doubler(batch=3))
    maker = Elsewhere(reader=lambda path, reading: SequenceReader(path, Fraction(25), reading))
    _, here, _ = made_in_parts(source, parts, maker, settings)
    assert parts.read_bytes() == plain.read_bytes()
    assert not here.given


def test_damaged_clip_is_made_as_in_order_and_its_losses_are_told(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(60, options={"g": "20"}))
    content = bytearray(source.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    source.write_bytes(content)
    plain, parts = tmp_path / "plain.mkv", tmp_path / "parts.mkv"
    expected = upscaled(source, plain, SETTINGS, Doubler(batch=3))
    assert expected
    notes, _, _ = made_in_parts(source, parts, Elsewhere())
    assert [note.replace("parts.", "plain.") for note in notes] == list(expected)
    with av.open(str(plain)) as one, av.open(str(parts)) as other:
        times = [[frame.pts for frame in clip.decode(video=0)] for clip in (one, other)]
    assert times[0] == times[1]


def test_clip_that_can_only_be_read_in_order_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(FRAMES))
    monkeypatch.setattr(ClipReader, "times", lambda reader: None)
    maker = Elsewhere()
    _, here, _ = made_in_parts(source, tmp_path / "out.mp4", maker)
    assert not maker.asked
    assert sum(here.given) == FRAMES


def test_segment_with_other_frames_than_expected_is_not_written(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(FRAMES))

    class Checking(Elsewhere):
        def __call__(self, tasks: Sequence[SegmentTask]) -> Iterator[MadeSegment]:
            wrong = replace(tasks[1], times=(*tasks[1].times[:-1], 10**6))
            reader = ClipReader(wrong.job.source, wrong.settings.reading)
            assert make_segment(wrong, Doubler(), reader) is None
            assert not wrong.path.exists()
            assert not wrong.path.with_suffix(".json").exists()
            return iter(())

    made_in_parts(source, tmp_path / "out.mp4", Checking())


def test_stopped_between_segments_it_goes_on_with_those_that_are_missing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(FRAMES, tones=1))
    plain, target = tmp_path / "plain.mp4", tmp_path / "out.mp4"
    upscaled(source, plain, SETTINGS, Doubler(batch=3))

    def stop(done: int, total: int) -> None:
        if done >= 22:  # numbers 3, 2 and 1
            raise KeyboardInterrupt

    first = Elsewhere()
    with pytest.raises(KeyboardInterrupt):
        upscale_clip(Job(source, target, CLIP), Doubler(batch=3), SETTINGS, stop, first)
    again = Elsewhere()
    made_in_parts(source, target, again)
    assert again.asked == [[0]]
    assert target.read_bytes() == plain.read_bytes()
