"""Queues between threads, with never more than a few images or frames in memory."""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["WriteQueue", "prefetch"]

Item = TypeVar("Item")
_PATIENCE = 0.1  # seconds between looks at whether the other side is still there


@dataclass(frozen=True)
class _End:
    """The last thing in a queue: nothing follows, or this error does."""

    error: BaseException | None = None


def prefetch(items: Iterable[Item], size: int) -> Generator[Item]:
    """Go through `items` in a thread that is at most `size` of them ahead.

    An error in the thread is raised here in its place; closing the generator ends the thread.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(size)
    stopped = threading.Event()

    def work() -> None:
        end = _End()
        try:
            for item in items:
                if not _put(waiting, item, stopped):
                    return
        except BaseException as error:  # noqa: BLE001 it is raised on the other side
            end = _End(error)
        _put(waiting, end, stopped)

    thread = threading.Thread(target=work, name="srcli-ahead")
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def _put(
    waiting: "queue.Queue[Item | _End]", item: "Item | _End", stopped: threading.Event
) -> bool:
    """Wait for a place in the queue; whether there was one before the other side stopped."""
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            waiting.put(item, timeout=_PATIENCE)
            return True
    return False


class WriteQueue(Generic[Item]):
    """Hands items to `consume` in a thread that is at most `size` of them behind.

    Used as a context manager: the block's end waits until all are consumed; an error in the block
    drops those that wait.

    Args:
        consume: Called with one item after the other, always in the same thread.
        size: How many may wait.
    """

    def __init__(self, consume: Callable[[Item], None], size: int) -> None:
        self._consume = consume
        self._waiting: queue.Queue[Item | _End] = queue.Queue(size)
        self._dropping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="srcli-behind")

    def put(self, item: Item) -> None:
        """Hand over one item; raises what `consume` raised for an earlier one."""
        self._waiting.put(item)
        self._raise()

    def __enter__(self) -> "WriteQueue[Item]":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._dropping.set()
        self._waiting.put(_End())
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, _End):
                return
            if self._dropping.is_set():
                continue
            try:
                self._consume(item)
            except BaseException as error:  # noqa: BLE001 it is raised on the other side
                self._error = error
                self._dropping.set()
