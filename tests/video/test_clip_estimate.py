"""The time that clips will take is said before the work, once, with the quicker network."""

from pathlib import Path

import pytest

from srcli import Upscaler
from srcli.cli.upscale_work import clip_estimate, faster_model, seconds_per_pixel
from srcli.errors import UnknownModel
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from tests.video.conftest import Recipe, make_clip

PIXELS = 10 * 32 * 24


@pytest.fixture(scope="module")
def adaformer() -> Upscaler:
    return Upscaler("adaformer", 2)


def estimate(folder: Path, upscaler: Upscaler, clips: int, seconds: float) -> str:
    """The line for so many clips, each of which takes `seconds`."""
    source = make_clip(folder / "film.mp4", Recipe())
    jobs = [Job(source, folder / f"{n}.mp4", CLIP) for n in range(clips)]
    return clip_estimate(jobs, ClipSettings(), upscaler, lambda _: seconds / PIXELS)


def test_one_clip_is_named_with_its_frames(tmp_path: Path, adaformer: Upscaler) -> None:
    assert estimate(tmp_path, adaformer, 1, 600) == (
        f"{tmp_path / 'film.mp4'}: 10 frames, about 10 min with adaformer; "
        "hint: -m adaformer-s is quicker, with a little less detail"
    )


def test_many_clips_are_added_up_from_some_of_them(tmp_path: Path, adaformer: Upscaler) -> None:
    assert estimate(tmp_path, adaformer, 90, 400).startswith("90 clips, about 10.0 h with")


def test_nothing_is_said_of_what_is_soon_done(tmp_path: Path, adaformer: Upscaler) -> None:
    assert estimate(tmp_path, adaformer, 1, 20) == ""
    missing = Job(tmp_path / "none.mp4", tmp_path / "out.mp4", CLIP)
    assert clip_estimate([missing], ClipSettings(), adaformer, lambda _: 1e9) == ""


def test_the_small_network_has_no_quicker_one(tmp_path: Path) -> None:
    assert "hint" not in estimate(tmp_path, Upscaler("adaformer-s", 2), 1, 600)


def test_only_weights_that_are_here_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(model: str, scale: float) -> object:
        raise UnknownModel(model)

    monkeypatch.setattr("srcli.cli.upscale_work.best_scale", none)
    assert faster_model("adaformer", 2) == ""


def test_the_pace_is_that_of_the_network(adaformer: Upscaler) -> None:
    assert 1e-7 < seconds_per_pixel(adaformer) < 1e-2
