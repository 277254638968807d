"""Parts of a frame that are computed anew, and results that are reused."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from PIL import Image

from srcli import Upscaler
from srcli.inference.crop_reach import CropReach
from srcli.jobs.clip_pipeline import FrameStage, FrameUpscaler
from srcli.jobs.frame_changes import CodingNoise, FrameChanges
from srcli.media import Pixels
from srcli.media.video import Frame, FrameSource
from tests.video.conftest import Doubler
from tests.video.test_clip_keys import INFO


def photograph(height: int, width: int) -> Pixels:
    """Blurred noise (h, w, 3), uint8."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (height // 4, width // 4, 3), np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


REACH = CropReach(affected=8, context=8, alignment=8)


def frames_of(stage: FrameStage) -> list[Pixels]:
    made: list[Pixels] = []
    stage.run(0, None, lambda frame: made.append(frame.pixels))
    return made


class Shown:
    """Frames in memory, as a clip."""

    notes: tuple[str, ...] = ()
    lossy = False

    def __init__(self, frames: list[Pixels]) -> None:
        self._frames = frames
        height, width, _ = frames[0].shape
        self.info = replace(INFO, width=width, height=height, frames=len(frames))

    def recount(self) -> None:
        raise AssertionError

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        return (Frame(number, 1, pixels) for number, pixels in enumerate(self._frames))


def stage_of(
    upscaler: FrameUpscaler, frames: list[Pixels], temporal: str, segment: int = 120
) -> FrameStage:
    source = cast("FrameSource", Shown(frames))
    return FrameStage(upscaler, source, False, lambda done, of: None, segment, temporal)


def moving_dot(still: Pixels, count: int) -> list[Pixels]:
    """Copies of an image with a dot of 6 px that moves."""
    frames = [still.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[40:46, 20 + 4 * number : 26 + 4 * number, :3] = 255 - still[40:46, 20:26, :3]
    return frames


def test_the_first_frame_is_whole_and_one_that_repeats_has_no_parts():
    changes = FrameChanges(REACH, noise=None)
    frame = photograph(96, 128)
    assert changes.parts(frame) is None
    assert changes.parts(frame.copy()) == []
    changes.reset()
    assert changes.parts(frame) is None


def test_a_part_holds_what_the_change_reaches_and_its_crop_the_context():
    changes = FrameChanges(REACH, noise=None)
    frame = photograph(200, 300)
    changes.parts(frame)
    frame = frame.copy()
    frame[101, 150] ^= 128
    (one,) = changes.parts(frame) or []
    part, crop = one.part, one.crop
    assert (part.top, part.bottom, part.left, part.right) == (88, 112, 136, 160)
    assert (crop.top, crop.bottom, crop.left, crop.right) == (80, 120, 128, 168)


def test_small_changes_add_up_until_they_count():
    changes = FrameChanges(REACH, noise=CodingNoise(2, 2, 2))
    frame = np.full((200, 300, 3), 100, np.uint8)
    changes.parts(frame)
    for level in (101, 102):
        frame = frame.copy()
        frame[100:104, 100:104] = level
        assert changes.parts(frame) == []
    frame = frame.copy()
    frame[100:104, 100:104] = 103
    assert changes.parts(frame)


def test_noise_of_16_bits_is_that_of_8():
    changes = FrameChanges(REACH, noise=CodingNoise(2, 2, 2))
    frame = np.full((200, 300, 3), 100 * 257, np.uint16)
    changes.parts(frame)
    near, far = frame.copy(), frame.copy()
    near[5, 5], far[5, 5] = 102 * 257, 102 * 257 + 1
    assert changes.parts(near) == []
    assert changes.parts(far)


def speckled(frame: Pixels, blocks: slice, pixels: int, levels: int) -> Pixels:
    """A copy of a frame some of whose blocks of 8 px have a few px that are so much brighter."""
    frame = frame.copy()
    for number in range(pixels):
        frame[number::8, blocks][:, number::8] += np.uint8(levels)
    return frame


def test_noise_counts_by_the_root_mean_square_of_a_block_and_by_its_largest_sample():
    frame = np.full((200, 400, 3), 100, np.uint8)
    noise = CodingNoise(sample=8, block=2, frame=9)
    block = slice(160, 168)
    for pixels, levels, parts in ((4, 8, 0), (5, 8, 1), (1, 8, 0), (1, 9, 1)):  # of 64 px
        changes = FrameChanges(REACH, noise)
        changes.parts(frame)
        changed = frame.copy()
        changed[96:104] = speckled(frame, block, pixels, levels)[96:104]
        assert len(changes.parts(changed) or []) == parts, (pixels, levels)


def test_a_frame_whose_noise_adds_up_is_computed_whole():
    frame = np.full((200, 400, 3), 100, np.uint8)
    changes = FrameChanges(REACH, CodingNoise(sample=8, block=2, frame=1))
    changes.parts(frame)
    assert changes.parts(speckled(frame, slice(0, 360), 1, 8)) == []  # 0.9 of the blocks, RMS 1
    assert changes.parts(speckled(frame, slice(0, 400), 2, 8)) is None
    assert changes.parts(speckled(frame, slice(0, 400), 2, 8)) == []


def test_what_is_computed_anew_does_not_count_as_noise():
    frame = np.full((200, 400, 3), 100, np.uint8)
    changes = FrameChanges(REACH, CodingNoise(sample=8, block=2, frame=0.5))
    changes.parts(frame)
    changed = speckled(frame, slice(0, 40), 1, 8)
    changed[96:104, 200:208] = 250
    assert len(changes.parts(changed) or []) == 1


def test_a_frame_that_changes_all_over_is_computed_whole():
    changes = FrameChanges(REACH, noise=None)
    frame = photograph(96, 128)
    changes.parts(frame)
    assert changes.parts(255 - frame) is None
    assert changes.parts(255 - frame) == []


@pytest.mark.parametrize("temporal", ["off", "exact", "fast"])
@pytest.mark.parametrize("batch", [1, 3])
def test_results_are_those_of_whole_frames(temporal: str, batch: int):
    network = Doubler(batch)
    frames = moving_dot(photograph(96, 128), 7)
    made = frames_of(stage_of(network, frames, temporal))
    assert all(
        np.array_equal(result, frame.repeat(2, 0).repeat(2, 1))
        for result, frame in zip(made, frames, strict=True)
    )


def test_every_segment_begins_with_a_whole_frame():
    sizes: list[int] = []

    class Watched(Doubler):
        def upscale_frames(self, frames):  # type: ignore[no-untyped-def,override]
            sizes.extend(frame.shape[0] for frame in frames)
            return super().upscale_frames(frames)

    frames_of(stage_of(Watched(), moving_dot(photograph(96, 128), 6), "exact", segment=3))
    assert [number for number, height in enumerate(sizes) if height == 96] == [0, 3]


@pytest.mark.parametrize("effort", ["exact", "balanced", "fast"])
def test_exact_reuse_gives_what_the_whole_frame_gives(effort: str):
    upscaler = Upscaler("adaformer-s", 2, effort=effort)
    still = photograph(64, 600)
    frames = moving_dot(still, 3)
    plain = frames_of(stage_of(upscaler, frames, "off"))
    computed: list[int] = []
    whole = upscaler.upscale_frames

    def watched(given):  # type: ignore[no-untyped-def]
        computed.extend(frame.shape[1] for frame in given)
        return whole(given)

    upscaler.upscale_frames = watched  # type: ignore[method-assign]
    reused = frames_of(stage_of(upscaler, frames, "exact"))
    assert computed[0] == 600
    assert max(computed[1:]) < 600
    for a, b in zip(plain, reused, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1  # rounding: kernels differ by size


def test_a_network_that_sees_the_whole_image_reuses_whole_frames_alone():
    assert Upscaler("adaformer-s", 2.5).crop_reach(exact=True) is None
    assert Upscaler("adaformer-s", 2).crop_reach(exact=True) is not None
