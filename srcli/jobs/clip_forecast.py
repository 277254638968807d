"""Estimate what clips take, before any work."""

from collections.abc import Sequence

from srcli.errors import SrcliError
from srcli.geometry import Size
from srcli.jobs.clip_source import ClipSettings, open_source
from srcli.jobs.identity import identity_of
from srcli.jobs.job import Job
from srcli.jobs.preflight import Forecast
from srcli.media import ImageInfo
from srcli.media.video import compression_of_clip

__all__ = ["forecast_clips"]

_BITS = 0.2  # a pixel of the result; x264 at CRF 18 takes 0.1 to 0.3 for films


def forecast_clips(jobs: Sequence[Job], settings: ClipSettings, scale: float) -> list[Forecast]:
    """Look into clips and animations; what cannot be read will fail when its turn comes.

    Args:
        jobs: What to look at.
        settings: How they are read.
        scale: Of the results.
    """
    return [_forecast(job, settings, scale) for job in jobs]


def _forecast(job: Job, settings: ClipSettings, scale: float) -> Forecast:
    try:
        info = open_source(job.source, settings).frames.info
    except (SrcliError, OSError) as error:
        return Forecast(job, None, None, 0, str(error))
    size = Size(info.width, info.height).scaled(scale)
    frames = max(info.frames, 1)
    file = identity_of(job.source)
    pixels = info.width * info.height * frames
    # not less than the source is, for what is beside its image
    disk = max(round(size.pixels * frames * _BITS / 8), file.size if file else 0)
    compression = compression_of_clip(job.source)
    header = ImageInfo("clip", info.width, info.height, 3, 8, compression=compression)
    return Forecast(job, header, size, disk, pixels=pixels, frames=frames)
