"""Options of the command line, checked for every clip of a run before any work."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from PIL import Image

from srcli.cli.clip_plan import Clips, clips_of
from srcli.cli.option_types import FrameRate, Seconds
from srcli.cli.run_options import NetworkOptions
from srcli.cli.upscale_options import ClipOptions
from srcli.defaults import TEMPORAL
from srcli.errors import UsageError
from srcli.inference.crop_reach import CropReach
from srcli.inference.report import Report
from srcli.inference.upscaler import Upscaler
from srcli.jobs import job
from srcli.jobs.clip_job import run_clips
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import ANIMATION, CLIP, Job, State
from srcli.jobs.target_size import TargetSize
from srcli.media import MetadataPolicy
from srcli.media.video import EncoderOptions
from tests.video.conftest import Doubler, Recipe, make_clip, moving, upscaled, watch

ENGINE = NetworkOptions("adaformer", "fast", None, None, "cpu", "fp32", False, True, True)


class StandIn(Upscaler):
    """Doubles every pixel, with what a batch asks of a network."""

    def __init__(self) -> None:
        self._doubler = Doubler()
        self.model, self.scale = "adaformer", 2
        self.network = SimpleNamespace(fingerprint="none")

    def batch_for(self, height: int, width: int) -> int:
        return self._doubler.batch_for(height, width)

    def crop_reach(self, *, exact: bool) -> CropReach | None:
        return self._doubler.crop_reach(exact=exact)

    def upscale_frames(self, frames: Sequence[np.ndarray]) -> tuple[list[np.ndarray], Report]:
        return self._doubler.upscale_frames(frames)


def settled(
    jobs: list[Job],
    wanted: EncoderOptions = EncoderOptions(),  # noqa: B008 frozen
    fps: Fraction | None = None,
) -> Clips:
    options = ClipOptions(
        *(wanted.codec, wanted.crf, wanted.preset, wanted.pixel_format),
        *(Fraction(0), None, False, False, False, fps, None, TEMPORAL),
    )
    return clips_of(jobs, options, TargetSize(scale=2), ENGINE, MetadataPolicy(), "0" * 64)


def jobs_for(*names: str) -> list[Job]:
    return [
        Job(Path("in", name), Path("out", name), ANIMATION if name.endswith(".gif") else CLIP)
        for name in names
    ]


def jobs_of(clips: Clips) -> list[Job]:
    return [verdict.job for verdict in clips.verdicts]


@pytest.mark.parametrize(
    ("typed", "rate"),
    [
        ("24", Fraction(24)),
        ("12.5", Fraction(25, 2)),
        ("24000/1001", Fraction(24000, 1001)),
        ("23.976023976", Fraction(24000, 1001)),
        ("29.97002997", Fraction(30000, 1001)),
        ("59.94005994", Fraction(60000, 1001)),
        ("0.001", Fraction(1, 1000)),
        ("1000", Fraction(1000)),
    ],
)
def test_rates_with_many_digits_are_those_they_stand_for(typed: str, rate: Fraction) -> None:
    assert FrameRate().convert(typed, None, None) == rate


def test_a_rate_of_many_digits_makes_a_clip(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.fromarray(moving(number, 16, 16)).save(tmp_path / "frames" / f"{number}.png")
    for typed in ("59.94005994", "12.3456789012"):
        rate = FrameRate().convert(typed, None, None)
        assert abs(rate - Fraction(typed)) < 1e-4
        target = tmp_path / f"{typed}.mp4"
        upscaled(tmp_path / "frames" / "%d.png", target, ClipSettings(rate=rate))
        assert watch(target).times == [n / rate for n in range(3)]


@pytest.mark.parametrize("typed", ["1/0", "1:1/0", "soon", "-1", "1:2:3:4"])
def test_no_time_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time"):
        Seconds().convert(typed, None, None)


def test_one_clip_that_cannot_be_encoded_so_is_named_before_the_work() -> None:
    jobs = jobs_for("a.mp4", "b.webm", "c.mp4", "d.gif")
    with pytest.raises(
        UsageError, match=r"out/b\.webm: --preset slow is not a preset of av1"
    ) as caught:
        settled(jobs, EncoderOptions(preset="slow"))
    assert "\n" not in str(caught.value)
    assert jobs_of(settled(jobs, EncoderOptions("hevc", preset="slow"))) == jobs
    assert jobs_of(settled(jobs, EncoderOptions(crf=40))) == jobs
    with pytest.raises(
        UsageError, match=r"out/a\.mp4: --crf 60 is out of range: h264 takes 0 to 51"
    ):
        settled(jobs, EncoderOptions(crf=60))
    with pytest.raises(UsageError, match=r"--pix-fmt yuv444p is not a format of libsvtav1"):
        settled(jobs, EncoderOptions(pixel_format="yuv444p"))


def test_each_container_is_asked_in_its_own_encoders_words() -> None:
    webm = jobs_for("x.webm")
    assert jobs_of(settled(webm, EncoderOptions(preset="5", crf=60))) == webm
    with pytest.raises(UsageError, match=r"^--preset slow is not a preset of av1"):
        settled(webm, EncoderOptions(preset="slow"))
    with pytest.raises(UsageError, match=r"^--preset 5 is not a preset of h264"):
        settled(jobs_for("x.mkv"), EncoderOptions(preset="5"))
    cats = jobs_for("cat.gif")
    assert jobs_of(settled(cats, EncoderOptions(preset="5"))) == cats
    with pytest.raises(UsageError, match="--codec divx is not known"):
        settled(cats, EncoderOptions("divx"))


def test_numbered_images_without_a_rate_are_refused_before_the_work() -> None:
    jobs = [*jobs_for("a.mp4"), Job(Path("none/%04d.png"), Path("none_x2.mp4"), CLIP)]
    with pytest.raises(UsageError, match=r"none/%04d\.png: .* add --fps 24"):
        settled(jobs)
    assert jobs_of(settled(jobs, fps=Fraction(24))) == jobs


def test_what_cannot_be_done_as_asked_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "Report", Report, raising=False)  # for beartype
    clip = make_clip(tmp_path / "in.mp4", Recipe(frames=2, size=(16, 16)))
    jobs = [
        Job(tmp_path / "%d.png", tmp_path / "first.mp4", CLIP),  # nobody says how fast
        Job(clip, tmp_path / "second.mp4", CLIP),
    ]
    upscaler = StandIn()
    failed, done = run_clips(
        jobs, upscaler, ClipSettings(), recorded="{}", on_frame=lambda *_: None
    )
    assert (failed.state, done.state) == (State.FAILED, State.DONE)
    assert "add --fps 24" in failed.reason
    assert np.shape(watch(tmp_path / "second.mp4").images) == (2, 32, 32, 3)
