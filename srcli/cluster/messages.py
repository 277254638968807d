"""Messages between the driver and the workers of a cluster."""

from dataclasses import dataclass, field
from pathlib import Path

from srcli.inference.report import Report
from srcli.jobs.run_journal import OutputRecord
from srcli.jobs.upscale_image import BatchOptions, NetworkRequest
from srcli.media import DecodedImage, DecodeLimits
from srcli.storage import StoredObject

__all__ = [
    "JobResult",
    "PageResult",
    "SegmentResult",
    "UploadResult",
    "WorkerPlace",
    "WorkerSetup",
    "WorkerStart",
]


@dataclass(frozen=True)
class WorkerPlace:
    """A worker's process.

    Args:
        host: Name of its machine.
        pid: Number of the process.
        names: `process_place` there, which stands in the names of its temporary files.
        problem: Why it cannot work for this driver; "" if it can.
    """

    host: str
    pid: int
    names: str
    problem: str


@dataclass(frozen=True)
class WorkerSetup:
    """All that a worker needs to know before its first job.

    Args:
        network: What to load.
        weights: sha256 of each weights file that the driver would use, by the entry's name.
        batch: How jobs are done.
        limits: Of the decoder.
        encoders: Results stored at once.
        passwords: Of URLs, see `url_paths`.
    """

    network: NetworkRequest
    weights: dict[str, str]
    batch: BatchOptions
    limits: DecodeLimits
    encoders: int
    passwords: dict[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class WorkerStart:
    """A worker's answer to its setup.

    Args:
        device: Device and precision, for the summary; "" if it has not begun.
        resolved: Device and number format, for the journal.
        lacks_weights: It has other weights than the driver and wants the driver's files.
        problem: Why it cannot begin, one line; "" if nothing is wrong.
    """

    device: str = ""
    resolved: str = ""
    lacks_weights: bool = False
    problem: str = ""


@dataclass(frozen=True)
class JobResult:
    """The end of a job in a worker.

    Args:
        temporary: The result, whole on disk, which waits for its name; None: there is none.
        made: What the journal keeps of it.
        losses: What the output's format could not hold.
        report: What it took.
        reason: Why it failed, one line; "" if it did not.
        begun: False if the worker was told to stop before it computed this.
        many_pages: It is a document of so many pages that they are to be handed out one by one.
    """

    temporary: Path | None = None
    made: OutputRecord | None = None
    losses: tuple[str, ...] = ()
    report: Report | None = None
    reason: str = ""
    begun: bool = True
    many_pages: bool = False


@dataclass(frozen=True)
class UploadResult:
    """The end of an upload by a worker.

    Args:
        found: The result in storage; None: it is not there.
        reason: Why not, one line.
    """

    found: StoredObject | None
    reason: str = ""


@dataclass(frozen=True)
class SegmentResult:
    """The end of a segment of a clip in a worker.

    Args:
        report: What it took; None: the worker did not find the frames that it expected.
        lossy: True if what it was made from is damaged.
        reason: Why it failed, one line; "" if it did not.
    """

    report: Report | None = None
    lossy: bool = False
    reason: str = ""


@dataclass(frozen=True)
class PageResult:
    """The end of a page of a document in a worker.

    Args:
        image: It, but for its pixels.
        pixels: File of its pixels, as NumPy saves them.
        report: What it took.
        reason: Why it failed, one line; "" if it did not.
        unreadable: True if it failed because it cannot be decoded.
        begun: False if the worker was told to stop before it computed this.
    """

    image: DecodedImage | None = None
    pixels: Path | None = None
    report: Report | None = None
    reason: str = ""
    unreadable: bool = False
    begun: bool = True
