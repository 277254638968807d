"""Time that clips will take, said before the work, and the network that would be quicker."""

from collections.abc import Callable, Sequence

import torch

from srcli.cli.pace import in_words
from srcli.errors import UnknownModel, UnknownScale
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_forecast import forecast_clips
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import Job
from srcli.weights import best_scale

__all__ = ["clip_estimate", "faster_model", "seconds_per_pixel"]

_SMALL_NETWORK = "adaformer-s"
_PROBE = 96  # px to a side of the image that is timed
_MOST_CLIPS = 4  # that are looked into before the work; opening one takes half a second
_WORTH_A_LINE = 30.0  # s


def clip_estimate(
    jobs: Sequence[Job],
    settings: ClipSettings,
    upscaler: Upscaler,
    pace: Callable[[Upscaler], float] | None = None,
) -> str:
    """One line with the time that clips will take by a small image's; "" if that is short.

    Args:
        jobs: The clips; of many, some tell how long all will take.
        settings: How they are read.
        upscaler: Does the work.
        pace: Seconds per LR px; None measures it.
    """
    sample = jobs[:: -(-len(jobs) // _MOST_CLIPS)] if jobs else jobs
    forecasts = [one for one in forecast_clips(sample, settings, upscaler.scale) if one.size]
    if not forecasts:
        return ""
    frames = sum(one.frames for one in forecasts)
    pixels = sum(one.pixels for one in forecasts) * len(jobs) / len(sample)
    seconds = pixels * (pace or seconds_per_pixel)(upscaler)
    if seconds < _WORTH_A_LINE:
        return ""
    name = upscaler.network.spec.name
    what = f"{len(jobs)} clips"
    if len(jobs) == 1:
        what = f"{jobs[0].source}: {frames} frames"
    quicker = faster_model(name, upscaler.scale)
    hint = f"; hint: -m {quicker} is quicker, with a little less detail" if quicker else ""
    return f"{what}, about {in_words(seconds)} with {name}{hint}"


def seconds_per_pixel(upscaler: Upscaler) -> float:
    """Time of the network per LR px, measured on an image of noise, where little is halted."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(_PROBE, _PROBE, 3, generator=generator).numpy()
    upscaler(image)
    return upscaler.upscale(image).report.seconds / _PROBE**2


def faster_model(model: str, scale: float) -> str:
    """The small network, if it is not the one at work and there are weights of it here."""
    if model == _SMALL_NETWORK:
        return ""
    try:
        return best_scale(_SMALL_NETWORK, scale).model
    except (UnknownModel, UnknownScale):
        return ""
