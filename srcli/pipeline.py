"""Stages that overlap in threads, with never more than a few images or frames in memory."""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

__all__ = [
    "StageResult",
    "WriteQueue",
    "prefetch",
    "stream",
]

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Computed = TypeVar("Computed")
Stored = TypeVar("Stored")


@dataclass(frozen=True)
class StageResult(Generic[Item, Stored]):
    """End of one item: its stored result, or the error that ended it."""

    item: Item
    stored: Stored | None
    error: Exception | None


def stream(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    compute: Callable[[Item, Loaded], Computed],
    store: Callable[[Item, Computed], Stored],
) -> Generator[StageResult[Item, Stored]]:
    """Run every item through three stages that overlap; one item's error ends that item alone.

    While one item is computed, in the caller's thread, the next is loaded and the one before is
    stored, each in a thread of its own: at most one loaded item waits, and at most one computed
    item is being stored. An interrupt lets the item being stored finish, then propagates.

    Args:
        items: What to work on, in order.
        load: First stage.
        compute: Second stage, called with the item and what was loaded.
        store: Third stage, called with the item and what was computed.

    Yields:
        How each item ended. Errors come as soon as they happen, results once they are stored.
    """
    source = iter(items)
    with (
        ThreadPoolExecutor(1, "srcli-load") as loader,
        ThreadPoolExecutor(1, "srcli-store") as storer,
    ):
        loading: deque[tuple[Item, Future[Loaded]]] = deque()
        storing: deque[tuple[Item, Future[Stored]]] = deque()

        def load_next() -> None:
            loading.extend((item, loader.submit(load, item)) for item in islice(source, 1))

        load_next()
        while loading:
            item, loaded = loading.popleft()
            load_next()
            try:
                computed = compute(item, loaded.result())
            except KeyboardInterrupt:
                yield from (_ended(*one) for one in storing)
                raise
            except Exception as error:  # noqa: BLE001 one bad item must not end the others
                yield StageResult(item, None, error)
                continue
            finally:
                del loaded
            yield from (_ended(*one) for one in storing)
            storing.clear()
            storing.append((item, storer.submit(store, item, computed)))
            del computed
        yield from (_ended(*one) for one in storing)


def _ended(item: Item, future: Future[Stored]) -> StageResult[Item, Stored]:
    try:
        return StageResult(item, future.result(), None)
    except Exception as error:  # noqa: BLE001 see above
        return StageResult(item, None, error)


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
