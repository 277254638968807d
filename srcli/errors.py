"""Every error srcli raises on purpose, and the exit code of each way to end.

An error's message is one line: the value, the limit it broke and what to do about it.

    SrcliError
    ├── UsageError            the request cannot be carried out as asked (exit 2)
    │   ├── UnknownModel
    │   ├── UnknownScale
    │   ├── UnavailableDevice
    │   ├── MissingDataSet    a benchmark set is not on this machine
    │   ├── FolderBusy        another run writes there
    │   └── JournalError      the folder's record of what was done cannot be read
    ├── NoRoom                not enough disk or memory to begin or to continue (exit 4)
    ├── NothingToDo           no input at all (exit 3)
    ├── LossDiverged          training would ruin the weights (exit 3)
    ├── DownloadError         a file cannot be had from its server (exit 3)
    ├── StorageError          storage elsewhere does not answer, or refuses (exit 3)
    ├── ClusterError          no worker of a cluster can do the work (exit 3)
    ├── WeightsError          a weights file is missing, altered or of another network (exit 3)
    └── InputError            this input fails; the rest of the batch continues (exit 1)
        ├── UnreadableImage
        ├── ImageTooLarge
        ├── UnwritableImage
        ├── UnreadableVideo
        ├── UnwritableVideo
        ├── OutOfMemory
        └── NonFiniteOutput
"""

import errno
from enum import IntEnum

__all__ = [
    "ClusterError",
    "DownloadError",
    "ExitCode",
    "ImageTooLarge",
    "InputError",
    "LossDiverged",
    "MissingDataSet",
    "NoRoom",
    "NonFiniteOutput",
    "NothingToDo",
    "OutOfMemory",
    "SrcliError",
    "StorageError",
    "UnavailableDevice",
    "UnknownModel",
    "UnknownScale",
    "UnreadableImage",
    "UnreadableVideo",
    "UnwritableImage",
    "UnwritableVideo",
    "UsageError",
    "WeightsError",
    "cannot_write",
]

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class ExitCode(IntEnum):
    """Exit codes of the process."""

    ALL_DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NOTHING_DONE = 3
    NO_ROOM = 4
    INTERRUPTED = 130


class SrcliError(Exception):
    """Anything srcli raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = ExitCode.NOTHING_DONE


class UsageError(SrcliError):
    """The request cannot be carried out as asked."""

    exit_code = ExitCode.USAGE


class UnknownModel(UsageError):
    """No network of that name."""


class UnknownScale(UsageError):
    """No network for that scale."""


class UnavailableDevice(UsageError):
    """The device asked for is not on this machine."""


class MissingDataSet(UsageError):
    """A benchmark set is not on this machine.

    Args:
        message: What and where.
        hint: What to do, for a second line; "" if the message says it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FolderBusy(UsageError):
    """Another run writes into the same folder."""


class JournalError(UsageError):
    """A folder's journal cannot be read."""


class NoRoom(SrcliError):
    """The disk or the memory does not suffice to begin, or to continue."""

    exit_code = ExitCode.NO_ROOM


def cannot_write(message: str, error: OSError) -> NoRoom | UsageError:
    """Make an error of a path that cannot be written: `NoRoom` if that is for want of space."""
    return NoRoom(message) if error.errno in _DISK_FULL else UsageError(message)


class NothingToDo(SrcliError):
    """There is no input at all."""


class LossDiverged(SrcliError):
    """The loss or its gradient is no longer finite."""


class DownloadError(SrcliError):
    """A file cannot be had from its server, or cannot be kept."""


class StorageError(SrcliError):
    """Storage elsewhere does not answer, or refuses what is asked."""


class ClusterError(SrcliError):
    """No worker of a cluster can do the work, or none is left."""


class WeightsError(SrcliError):
    """A weights file is missing, altered or of another network."""


class InputError(SrcliError):
    """One input fails alone; the rest of the batch continues."""

    exit_code = ExitCode.SOME_FAILED


class UnreadableImage(InputError):
    """The file cannot be decoded whole."""


class ImageTooLarge(InputError):
    """The image is beyond a limit."""


class UnwritableImage(InputError):
    """The result cannot be written, or not in that format."""


class UnreadableVideo(InputError):
    """The clip cannot be decoded, or is of a kind that is not taken without being asked for."""


class UnwritableVideo(InputError):
    """The result cannot be encoded, or not into that file."""


class OutOfMemory(InputError):
    """There is not enough memory for this image, however it is cut."""


class NonFiniteOutput(InputError):
    """The network gave infinities or NaN even in fp32."""
