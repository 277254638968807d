"""The stages of image jobs whose inputs or results lie in storage: by copies on this machine.

Loading downloads before it decodes; what is written goes to a copy, and from there wherever the
recorder of results has it uploaded. Jobs of files alone pass through as they are.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from srcli.atomic import BeforeRename
from srcli.errors import SrcliError
from srcli.inference.report import Report
from srcli.jobs.image_stages import ComputedResult, ImageContext, ImageStages
from srcli.jobs.job import BatchObserver, Job
from srcli.jobs.local_copies import LocalCopies, LocalJob, touches_storage
from srcli.jobs.run_journal import OutputRecord, ResultRecorder
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale
from srcli.media import Decoded

__all__ = ["StoredStages"]


class StoredStages:
    """Reads, upscales and writes images wherever they lie; see `ImageStages`.

    Args:
        upscalers: Do the work.
        batch: How.
        context: The decoder, and what learns of results and of progress.
        copies: Where copies are made.
    """

    def __init__(
        self,
        upscalers: UpscalersByScale,
        batch: BatchOptions,
        context: ImageContext,
        copies: LocalCopies,
    ) -> None:
        self._upscalers, self._batch, self._context = upscalers, batch, context
        self._copies = copies
        self._plain = ImageStages(upscalers, batch, context)
        self._here: dict[Job, LocalJob] = {}
        self._failed: dict[Job, Exception] = {}

    def bytes_to_load(self, job: Job) -> int:
        """Bytes that decoding the input takes, by its header; one in storage is downloaded first.

        Raises:
            StorageError: It cannot be downloaded.
            InputError: It cannot be read.
        """
        here = self._copied(job)
        return self._plain.bytes_to_load(here.job if here else job)

    def load(self, job: Job) -> Decoded:
        """Download and decode the input.

        Raises:
            StorageError: It cannot be downloaded.
            InputError: It cannot be decoded within the limits.
        """
        here = self._copied(job)
        if here is None:
            return self._plain.load(job)
        with _known_names(job, here):
            return self._plain.load(here.job)

    def compute(self, job: Job, read: Decoded) -> ComputedResult:
        """See `ImageStages`."""
        here = self._here.get(job)
        if here is None:
            return self._plain.compute(job, read)
        context = replace(
            self._context,
            recorder=_JobRecorder(job, here, self._context.recorder),
            observer=_JobObserver(job, self._context.observer),
        )
        with _known_names(job, here):
            return ImageStages(self._upscalers, self._batch, context).compute(here.job, read)

    def store(self, job: Job, result: ComputedResult) -> tuple[tuple[str, ...], Report]:
        """See `ImageStages`; a result that goes into storage is uploaded.

        Raises:
            StorageError: It cannot be.
        """
        here = self._here.get(job)
        if here is None:
            return self._plain.store(job, result)
        with _known_names(job, here):
            lost, report = self._plain.store(here.job, result)
        return tuple(_renamed(line, job, here) for line in lost), report

    def ended(self, job: Job) -> None:
        """Remove the copy of a job's input: nothing more is done for it."""
        self._failed.pop(job, None)
        if here := self._here.pop(job, None):
            here.remove_input()

    def _copied(self, job: Job) -> LocalJob | None:
        """The job with copies in place of what lies in storage, made once; None of files alone."""
        if not touches_storage(job):
            return None
        if job not in self._here and job not in self._failed:
            try:
                self._here[job] = self._copies.fetch(job)
            except (SrcliError, OSError) as error:
                self._failed[job] = error
        if error := self._failed.get(job):
            raise error
        return self._here[job]


@contextmanager
def _known_names(job: Job, here: LocalJob) -> Generator[None]:
    """Put the names that the user knows in place of those of copies into an error of the block."""
    try:
        yield
    except Exception as error:
        error.args = tuple(
            _renamed(one, job, here) if isinstance(one, str) else one for one in error.args
        )
        if isinstance(error, OSError) and error.filename is not None:
            error.filename = _renamed(str(error.filename), job, here)
        raise


def _renamed(text: str, job: Job, here: LocalJob) -> str:
    for copy, path in ((here.job.source, job.source), (here.job.target, job.target)):
        text = text.replace(str(copy), str(path))
    return text


class _JobRecorder:
    """Tells a recorder of the one job that a copy stands for.

    Args:
        job: The job.
        here: Its copies.
        recorder: Learns of the result.
    """

    def __init__(self, job: Job, here: LocalJob, recorder: ResultRecorder) -> None:
        self._job, self._here, self._recorder = job, here, recorder

    def before_rename(self, _: Job, made: OutputRecord) -> BeforeRename:
        """See `ResultRecorder`."""
        known = replace(made, origin=self._here.origin_of(made.origin))
        return self._recorder.before_rename(self._job, known)

    def done(self, _: Job) -> None:
        """See `ResultRecorder`."""
        self._recorder.done(self._job)


class _JobObserver:
    """Tells an observer of the one job that a copy stands for.

    Args:
        job: The job.
        observer: Receives progress.
    """

    def __init__(self, job: Job, observer: BatchObserver) -> None:
        self._job, self._observer = job, observer

    def begun(self, _: Job) -> None:
        """See `BatchObserver`."""
        self._observer.begun(self._job)

    def tile(self, _: Job, done: int, total: int) -> None:
        """See `BatchObserver`."""
        self._observer.tile(self._job, done, total)

    def progress(self, _: Job, share: float) -> None:
        """See `BatchObserver`."""
        self._observer.progress(self._job, share)

    def page(self, _: Job, done: int, total: int) -> None:
        """See `BatchObserver`."""
        self._observer.page(self._job, done, total)
