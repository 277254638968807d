"""A worker of a cluster: one process that holds a loaded network and takes whole jobs.

A plain class, which Ray makes an actor of; its methods are called from several threads at once.
"""

import math
import os
import platform
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np

from srcli.atomic import BeforeRename, process_place, temporary_name
from srcli.cluster.concurrent_stages import AHEAD, ConcurrentStages, NotBegun
from srcli.cluster.messages import (
    JobResult,
    PageResult,
    SegmentResult,
    UploadResult,
    WorkerPlace,
    WorkerSetup,
    WorkerStart,
)
from srcli.cluster.weights_set import WeightsFile, use_files, weights_hashes
from srcli.errors import SrcliError, StorageError, UnreadableImage, UsageError
from srcli.host_memory import keep_freed_memory
from srcli.inference.device import available_ram
from srcli.inference.report import Report
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_job import upscaler_for_clip
from srcli.jobs.clip_source import ClipSettings, open_frames
from srcli.jobs.clip_tasks import MadeSegment, SegmentTask, make_segment
from srcli.jobs.identity import digest
from srcli.jobs.image_stages import STORING_SHARE, ComputedResult, ImageContext
from srcli.jobs.job import Job, reason_of
from srcli.jobs.local_copies import LocalCopies, remove_if_empty, touches_storage
from srcli.jobs.multipage import ManyPages, PageStages
from srcli.jobs.page_tasks import PageTask
from srcli.jobs.run_journal import OutputRecord
from srcli.jobs.stored_stages import StoredStages
from srcli.jobs.upscale_image import UpscalersByScale, load_network
from srcli.media import Decoded, DecodedImage, DecoderPool
from srcli.media.video import SeekableSource
from srcli.storage import upload
from srcli.url_paths import UrlPath, use_passwords

__all__ = ["ClusterWorker"]

_MOST_PAGES = 16  # of a document that is one worker's job


class ClusterWorker:
    """Decodes, computes and encodes; the driver gives results their names.

    It copies inputs from storage, and results there once the driver has written them down.
    """

    def __init__(self) -> None:
        self._host = platform.node()
        self._setup: WorkerSetup | None = None
        self._decoder: DecoderPool | None = None
        self._lanes: ConcurrentStages | None = None
        self._upscalers: UpscalersByScale | None = None
        self._copies: LocalCopies | None = None
        self._clip: _OpenClip | None = None

    def place(self, version: str) -> WorkerPlace:
        """Tell where this process is, and if it is of the driver's version."""
        problem, mine = "", version_of("srcli")
        if mine != version:
            problem = (
                f"{self._host}: srcli {mine} is installed there, and {version} here; "
                f"hint: pip install 'srcli[cluster]=={version}' on every node"
            )
        return WorkerPlace(self._host, os.getpid(), process_place(), problem)

    def begin(self, setup: WorkerSetup, files: tuple[WeightsFile, ...] = ()) -> WorkerStart:
        """Load the network.

        Args:
            setup: What the jobs have in common.
            files: The driver's weights; none unless this worker has said that it lacks them.
        """
        try:
            if files:
                use_files(files, setup.weights)
            if weights_hashes(setup.network.model) != setup.weights:
                if not files:
                    return WorkerStart(lacks_weights=True)
                return WorkerStart(problem=f"{self._host}: other weights than the driver's")
            keep_freed_memory()
            lanes = ConcurrentStages(setup.encoders, available_ram() * STORING_SHARE)
            upscalers = lanes.in_network_thread(lambda: load_network(setup.network))
        except (OSError, SrcliError) as error:
            return WorkerStart(problem=f"{self._host}: {error}")
        self._lanes, self._upscalers, self._setup = lanes, upscalers, setup
        self._decoder = DecoderPool(setup.limits, AHEAD)
        self._copies = LocalCopies(setup.limits.file_bytes)
        use_passwords(setup.passwords)
        return WorkerStart(upscalers.device, upscalers.resolved)

    def stop(self) -> None:
        """Compute nothing more after the present job."""
        if self._lanes is not None:
            self._lanes.stop()

    def close(self) -> None:
        """End the decoders, whatever they do, and remove copies."""
        if self._decoder is not None:
            self._decoder.close()
        if self._copies is not None:
            self._copies.close()

    def upscale(self, job: Job) -> JobResult:
        """Do a job; its paths are absolute. Every error is in the result."""
        assert self._setup is not None
        assert self._decoder is not None
        assert self._lanes is not None
        assert self._upscalers is not None
        assert self._copies is not None
        recorder = _Recorder()
        most_pages = math.inf if touches_storage(job) else _MOST_PAGES
        context = ImageContext(self._decoder, recorder, _Silent(), most_pages)
        stages = StoredStages(self._upscalers, self._setup.batch, context, self._copies)
        try:
            losses, report = self._lanes.run(stages, job)
        except NotBegun:
            return JobResult(begun=False)
        except ManyPages:
            return JobResult(many_pages=True)
        except Exception as error:  # noqa: BLE001 one bad input must not end the worker
            return JobResult(reason=self._reason(job, error))
        finally:
            stages.ended(job)
        return JobResult(recorder.temporary, recorder.made, losses, report)

    def upload(self, job: Job, temporary: Path) -> UploadResult:
        """Upload the result of a job that `upscale` has left under a temporary name."""
        assert isinstance(job.target, UrlPath)
        try:
            return UploadResult(upload(temporary, job.target))
        except (OSError, SrcliError) as error:
            return UploadResult(None, self._reason(job, error))
        finally:
            temporary.unlink(missing_ok=True)
            remove_if_empty(temporary.parent)

    def make_page(self, task: PageTask) -> PageResult:
        """Upscale a page of a document; its paths are absolute. Every error is in the result."""
        assert self._setup is not None
        assert self._decoder is not None
        assert self._lanes is not None
        assert self._upscalers is not None
        context = ImageContext(self._decoder, _Recorder(), _Silent())
        state = task.size, task.mtime_ns
        pages = PageStages(task.job, state, self._upscalers, self._setup.batch, context)
        stages = _OnePage(pages, task.number)
        try:
            self._lanes.run(stages, task.job)
        except NotBegun:
            return PageResult(begun=False)
        except Exception as error:  # noqa: BLE001 see above
            unreadable = isinstance(error, UnreadableImage)
            return PageResult(reason=self._reason(task.job, error), unreadable=unreadable)
        return PageResult(stages.image, stages.pixels, stages.report)

    def make_segment(self, task: SegmentTask) -> SegmentResult:
        """Make a segment of a clip; its paths are absolute. Every error is in the result."""
        assert self._lanes is not None
        try:
            made = self._lanes.in_network_thread(partial(self._make_segment, task))
        except Exception as error:  # noqa: BLE001 one bad clip must not end the worker
            return SegmentResult(reason=self._reason(task.job, error))
        return SegmentResult() if made is None else SegmentResult(made.report, made.lossy)

    def _make_segment(self, task: SegmentTask) -> MadeSegment | None:
        assert self._upscalers is not None
        source, settings = task.job.source, task.settings
        clip, self._clip = self._clip, None
        if clip is None or (clip.path, clip.settings) != (source, settings):
            upscaler, _ = upscaler_for_clip(source, self._upscalers.first)
            clip = _OpenClip(source, settings, open_frames(source, settings), upscaler)
        made = make_segment(task, clip.upscaler, clip.frames)
        self._clip = clip  # nothing went wrong: it can be read again
        return made

    def _reason(self, job: Job, error: Exception) -> str:
        if not isinstance(job.source, UrlPath) and not job.source.exists():
            return (
                f"{job.source}: {self._host} has no such file; hint: every node needs the folders "
                "of inputs and results under the same names"
            )
        if isinstance(error, StorageError | UsageError):  # it may lack the driver, or the login
            return f"{reason_of(job, error)} (on {self._host})"
        return reason_of(job, error)


@dataclass(frozen=True)
class _OpenClip:
    """The clip whose segments a worker makes."""

    path: Path
    settings: ClipSettings
    frames: SeekableSource
    upscaler: Upscaler


class _OnePage:
    """A page as a job of its own, whose pixels are left in a file; see `Stages`.

    Args:
        pages: Of its document.
        number: Of the page.
    """

    def __init__(self, pages: PageStages, number: int) -> None:
        self._pages, self._number = pages, number
        self.image: DecodedImage | None = None
        self.pixels: Path | None = None
        self.report: Report | None = None

    def load(self, job: Job) -> Decoded:
        """See `Stages`."""
        del job
        return self._pages.load(self._number)

    def compute(self, job: Job, read: Decoded) -> ComputedResult:
        """See `Stages`."""
        image, report = self._pages.compute(read.image)
        return ComputedResult(partial(self._write, job, image, report), image.pixels.nbytes)

    def store(self, _: Job, result: ComputedResult) -> tuple[tuple[str, ...], Report]:
        """See `Stages`."""
        return result.write()

    def _write(
        self, job: Job, image: DecodedImage, report: Report
    ) -> tuple[tuple[str, ...], Report]:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        file = temporary_name(job.target)
        try:
            with file.open("xb") as stream:
                np.save(stream, image.pixels)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        self.image, self.report = replace(image, pixels=image.pixels[:0]), report
        self.pixels = file
        return (), report


class _Recorder:
    """Keeps what is known of one result, and leaves its name to the driver."""

    def __init__(self) -> None:
        self.temporary: Path | None = None
        self.made: OutputRecord | None = None

    def before_rename(self, job: Job, made: OutputRecord) -> BeforeRename:
        """See `ResultRecorder`."""

        def keep(temporary: Path) -> bool:
            size = temporary.stat().st_size
            self.temporary = temporary
            self.made = replace(made, sha256=digest(temporary), size=size)
            return False

        return keep

    def done(self, job: Job) -> None:
        """See `ResultRecorder`: only the driver knows."""


class _Silent:
    """An observer that tells nobody: the driver hears of a job when it has ended."""

    def begun(self, job: Job) -> None:
        """See `BatchObserver`."""

    def tile(self, job: Job, done: int, total: int) -> None:
        """See `BatchObserver`."""

    def progress(self, job: Job, share: float) -> None:
        """See `BatchObserver`."""

    def page(self, job: Job, done: int, total: int) -> None:
        """See `BatchObserver`."""
