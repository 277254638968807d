"""The three stages of an image's job, which a batch runs at once: load, compute, store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from srcli.errors import ImageTooLarge, OutOfMemory
from srcli.inference.report import Report
from srcli.jobs.identity import Identity
from srcli.jobs.job import Job
from srcli.jobs.multipage import ImageContext, ManyPages, origin_of, upscale_multipage
from srcli.jobs.preflight import require_one_page, require_sizes
from srcli.jobs.run_journal import OutputRecord
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale, upscale_to_size
from srcli.media import Decoded, DecodedImage, holds_pages, write_image

__all__ = [
    "AGAIN_ALONE",
    "LOADING_SHARE",
    "STORING_SHARE",
    "ComputedResult",
    "ImageContext",
    "ImageStages",
    "decoders_beside",
    "encoders_among",
]

AGAIN_ALONE = (ImageTooLarge, OutOfMemory)
"""Errors of computing that may be gone once no other result is being stored."""
LOADING_SHARE = STORING_SHARE = 1 / 8
"""Of the memory that is free at the start: room for images that wait, and for results being
stored."""
_MOST_DECODERS = 8
_DECODED_COPIES = 2  # the decoder's and ours, while it hands an image over


def encoders_among(cores: int) -> int:
    """Number of results stored at once: half of the cores, for a GPU is faster than an encoder."""
    return max(1, cores // 2)


def decoders_beside(device: torch.device, cores: int) -> int:
    """Number of images decoded at once: one for a CPU, which the network keeps busy for longer."""
    return 1 if device.type == "cpu" else max(1, min(_MOST_DECODERS, cores // 4))


@dataclass(frozen=True)
class ComputedResult:
    """A computed result that waits to be written.

    Args:
        write: Writes it; returns what was lost and what it took.
        nbytes: Bytes of pixels.
    """

    write: Callable[[], tuple[tuple[str, ...], Report]]
    nbytes: int


class ImageStages:
    """Reads, upscales and writes images; each stage may run in a thread of its own.

    Args:
        upscalers: Do the work.
        batch: How.
        context: The decoder, and what learns of results and of progress.
    """

    def __init__(
        self, upscalers: UpscalersByScale, batch: BatchOptions, context: ImageContext
    ) -> None:
        self._upscalers, self._batch, self._context = upscalers, batch, context

    def bytes_to_load(self, job: Job) -> int:
        """Bytes that decoding the input takes, by its header.

        Raises:
            InputError: It cannot be read.
        """
        info = self._context.decoder.probe(job.source)
        return _DECODED_COPIES * info.width * info.height * info.channels * info.bits // 8

    def load(self, job: Job) -> Decoded:
        """Decode the input.

        Raises:
            InputError: It cannot be decoded within the limits.
        """
        return self._context.decoder.read(job.source)

    def compute(self, job: Job, read: Decoded) -> ComputedResult:
        """Upscale it; a document of several pages is written meanwhile, too.

        Raises:
            InputError: The result cannot be made.
            ManyPages: See `ImageContext`.
        """
        batch, context = self._batch, self._context
        observer = context.observer
        pages = (read.image, *read.image.later_pages)
        require_sizes(job, pages, batch.size, batch.limits)
        observer.begun(job)
        if read.image.later_pages:
            if holds_pages(job.image_format):
                if len(pages) > context.most_pages:
                    raise ManyPages
                return _already_written(
                    upscale_multipage(job, read, self._upscalers, batch, context)
                )
            require_one_page(job, read.image.later_pages)
        callbacks = partial(observer.tile, job), partial(observer.progress, job)
        made = upscale_to_size(read.image, self._upscalers, batch, *callbacks)
        left_out = read.image.left_out + len(read.image.later_pages)
        image = replace(read.image, pixels=made.image, left_out=left_out)
        write = partial(self._write, job, image, made.report, origin_of(read))
        return ComputedResult(write, image.pixels.nbytes)

    def store(self, _: Job, result: ComputedResult) -> tuple[tuple[str, ...], Report]:
        """Write the result; return what was lost, one line each, and what it took.

        Raises:
            UnwritableImage: It cannot be written.
        """
        return result.write()

    def _write(
        self, job: Job, image: DecodedImage, report: Report, origin: Identity
    ) -> tuple[tuple[str, ...], Report]:
        """Write a result; the recorder learns of it before it gets its name, and after."""
        batch, recorder = self._batch, self._context.recorder
        metadata = batch.metadata.applied(image.metadata)
        image = replace(image, format=job.image_format, metadata=metadata)
        made = OutputRecord(origin, image.width, image.height, report.seconds, report.chosen)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        losses = write_image(
            image,
            job.target,
            quality=batch.quality,
            before_rename=recorder.before_rename(job, made),
        )
        recorder.done(job)
        return losses, report


def _already_written(result: tuple[tuple[str, ...], Report]) -> ComputedResult:
    """A document is written as it is computed: nothing is left to store."""
    return ComputedResult(lambda: result, 0)
