"""Interface of those who are told of a batch's progress."""

from typing import Protocol, runtime_checkable

from srcli.jobs.plan import Job

__all__ = ["BatchObserver"]


@runtime_checkable
class BatchObserver(Protocol):
    """Whoever wants to know how a batch goes on."""

    def begun(self, job: Job) -> None:
        """The network begins with a job."""
        ...

    def tile(self, job: Job, done: int, total: int) -> None:
        """A tile of an image is done, or of a page."""
        ...

    def page(self, job: Job, done: int, total: int) -> None:
        """A page of a document is done."""
        ...
