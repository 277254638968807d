"""Edit lists of MP4: what they delay, cut and rearrange."""

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import ClipReader, DecodeOptions
from tests.video.conftest import RATE, STEP, TICKS, Recipe, make_clip, packets, upscaled, watch

Edit = tuple[float, int]
"""Seconds, and where in the track they begin, in its ticks; -1 for nothing."""

_BOXES = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
_VIDEO, _SOUND = 0, 1
_B_FRAMES = 2 * STEP  # what the encoder's reordering delays the first frame by
_PRIMING = 1024  # samples before AAC begins


def _parsed(data: bytes) -> list[list]:
    boxes = []
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        body = data[8:size]
        boxes.append([kind, _parsed(body) if kind in _BOXES else body])
        data = data[size:]
    return boxes


def _built(boxes: list[list]) -> bytes:
    made = b""
    for kind, body in boxes:
        whole = _built(body) if isinstance(body, list) else body
        made += struct.pack(">I4s", len(whole) + 8, kind) + whole
    return made


def _track(boxes: list[list], number: int) -> tuple[list[list], int]:
    """A track, and the ticks a second of the whole."""
    moov = next(body for kind, body in boxes if kind == b"moov")
    header = next(body for kind, body in moov if kind == b"mvhd")
    return [body for kind, body in moov if kind == b"trak"][number], *struct.unpack(
        ">I", header[12:16]
    )


def edited(path: Path, track: int, edits: list[Edit]) -> None:
    """Give a track of an MP4, whose header is at its end, another edit list."""
    boxes = _parsed(path.read_bytes())
    found, ticks = _track(boxes, track)
    entries = [struct.pack(">IiHH", round(time * ticks), begin, 1, 0) for time, begin in edits]
    whole = struct.pack(">II", 0, len(edits)) + b"".join(entries)
    next(box for box in found if box[0] == b"edts")[1] = [[b"elst", whole]]
    path.write_bytes(_built(boxes))


def edits_of(path: Path, track: int) -> list[tuple[Fraction, int]]:
    """Seconds and beginning of each edit, as the bytes of the file say."""
    boxes = _parsed(path.read_bytes())
    found, ticks = _track(boxes, track)
    (listed,) = next(body for kind, body in found if kind == b"edts")
    entries = (listed[1][place : place + 12] for place in range(8, len(listed[1]), 12))
    return [
        (Fraction(time, ticks), begin)
        for time, begin, _ in (struct.unpack(">IiI", entry) for entry in entries)
    ]


def heard(path: Path) -> tuple[Fraction, np.ndarray]:
    """When sound begins, and its samples."""
    with av.open(str(path)) as clip:
        frames = list(clip.decode(audio=0))
    waves = [frame.to_ndarray()[0] for frame in frames]
    return frames[0].pts * frames[0].time_base, np.concatenate(waves)


CASES: dict[str, dict[int, list[Edit]]] = {
    "the image begins later": {_VIDEO: [(0.5, -1), (1, _B_FRAMES)]},
    "both begin later": {
        _VIDEO: [(0.5, -1), (1, _B_FRAMES)],
        _SOUND: [(0.5, -1), (1, _PRIMING)],
    },
    "cut between key frames": {_VIDEO: [(0.72, _B_FRAMES + 7 * STEP)]},
    "cut with its sound": {
        _VIDEO: [(0.72, _B_FRAMES + 7 * STEP)],
        _SOUND: [(0.72, _PRIMING + round(0.28 * RATE))],
    },
    "cut at the end": {_VIDEO: [(0.5, _B_FRAMES)], _SOUND: [(0.5, _PRIMING)]},
    "a piece taken out": {_VIDEO: [(0.2, _B_FRAMES), (0.4, _B_FRAMES + 15 * STEP)]},
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    options = {"g": "12", "bf": "2", "crf": "12"}
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=25, tones=1, options=options))
    assert edits_of(source, _VIDEO) == [(1, _B_FRAMES)]
    assert edits_of(source, _SOUND) == [(1, _PRIMING)]
    return source


@pytest.mark.parametrize("case", CASES)
def test_an_edit_list_is_applied_as_a_player_does(clip: Path, tmp_path: Path, case: str) -> None:
    for track, edits in CASES[case].items():
        edited(clip, track, edits)
    before, sound = watch(clip), heard(clip)
    target = tmp_path / "out.mp4"
    assert upscaled(clip, target, ClipSettings(segment=10)) == ()
    after = watch(target)
    assert after.times == before.times
    for smaller, larger in zip(before.images, after.images, strict=True):
        assert np.abs(smaller.repeat(2, 0).repeat(2, 1).astype(int) - larger).mean() < 6
    begins, wave = heard(target)
    early = round((sound[0] - begins) * RATE)  # AAC's lead, where the player was to skip it
    assert early in (0, _PRIMING)
    # AAC fills noise in as it likes, and the first packet overlaps with none before it.
    assert np.allclose(wave[early + 1024 : len(sound[1]) + early], sound[1][1024:], atol=0.01)


def test_hidden_sound_stays_hidden_in_matroska(clip: Path, tmp_path: Path) -> None:
    for track, edits in CASES["cut with its sound"].items():
        edited(clip, track, edits)
    target = tmp_path / "out.mkv"
    upscaled(clip, target)
    shown, (begins, wave) = watch(target).times, heard(target)
    assert shown[0] - begins <= Fraction(2 * _PRIMING, RATE)
    assert len(wave) <= 0.72 * RATE + 3 * _PRIMING
    steps = [b - a for a, b in pairwise(shown)]
    assert max(abs(step - STEP * TICKS) for step in steps) <= Fraction(1, 1000)


def test_sound_in_pieces_is_joined_at_whole_packets(clip: Path, tmp_path: Path) -> None:
    edited(clip, _VIDEO, CASES["a piece taken out"][_VIDEO])
    edited(clip, _SOUND, [(0.2, _PRIMING), (0.4, _PRIMING + round(0.6 * RATE))])
    for suffix in (".mp4", ".mkv"):
        target = tmp_path / f"out{suffix}"
        upscaled(clip, target)
        assert len(watch(target).times) == 15
        times = [time for time, _ in packets(target, "audio")]
        assert times == sorted(times)
        assert abs(times[-1] + Fraction(_PRIMING, RATE) - times[0] - Fraction(6, 10)) < 0.05


def test_a_clip_is_taken_up_again_behind_an_edit(clip: Path) -> None:
    edited(clip, _VIDEO, CASES["a piece taken out"][_VIDEO])
    reader = ClipReader(clip, DecodeOptions())
    whole = list(reader.frames(0, None))
    for done in (1, 4, 5, 6, 14):
        rest = list(reader.frames(done, whole[done - 1].pts))
        assert [frame.pts for frame in rest] == [frame.pts for frame in whole[done:]]
        for one, other in zip(rest, whole[done:], strict=True):
            assert np.array_equal(one.pixels, other.pixels)
