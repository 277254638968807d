"""Stages that overlap in threads, with never more than a few images or frames in memory."""

import contextlib
import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

__all__ = [
    "StageResult",
    "StorePool",
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


@dataclass(frozen=True)
class StorePool(Generic[Computed]):
    """Options of storing several results at once.

    Args:
        threads: That store.
        most_bytes: Of all results being stored; a larger one is stored alone.
        bytes_of: Bytes of a result.
        alone: Errors of computing that may come of the memory which results being stored hold:
            the item is computed again once they are stored.
    """

    threads: int = 1
    most_bytes: float = math.inf
    bytes_of: Callable[[Computed], int] = lambda _: 0
    alone: tuple[type[Exception], ...] = ()


def stream(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    compute: Callable[[Item, Loaded], Computed],
    store: Callable[[Item, Computed], Stored],
    pool: StorePool[Computed] | None = None,
) -> Generator[StageResult[Item, Stored]]:
    """Run every item through three stages that overlap; one item's error ends that item alone.

    While one item is computed, in the caller's thread, the next is loaded and those before are
    stored, in other threads: at most one loaded item waits, and no computed one. An interrupt lets
    the items being stored finish, then propagates.

    Args:
        items: What to work on, in order.
        load: First stage.
        compute: Second stage, called with the item and what was loaded.
        store: Third stage, called with the item and what was computed.
        pool: How many results are stored at once; None: one.

    Yields:
        How each item ended. Errors come as soon as they happen, results once they are stored: in
        order, unless several are stored at once.
    """
    pool = pool or StorePool()
    source = iter(items)
    with (
        ThreadPoolExecutor(1, "srcli-load") as loader,
        ThreadPoolExecutor(pool.threads, "srcli-store") as storer,
    ):
        loading: deque[tuple[Item, Future[Loaded]]] = deque()
        storing = _Storing[Item, Stored]()

        def load_next() -> None:
            loading.extend((item, loader.submit(load, item)) for item in islice(source, 1))

        def attempt(item: Item, loaded: Future[Loaded]) -> Computed | _Failure:
            try:
                return compute(item, loaded.result())
            except Exception as error:  # noqa: BLE001 one bad item must not end the others
                return _Failure(error)

        load_next()
        while loading:
            item, loaded = loading.popleft()
            load_next()
            try:
                computed = attempt(item, loaded)
                if isinstance(computed, _Failure) and isinstance(computed.error, pool.alone):
                    others = list(storing.until(1, 0.0))
                    yield from others
                    computed = attempt(item, loaded) if others else computed
            except KeyboardInterrupt:
                yield from storing.until(1, 0.0)
                raise
            finally:
                del loaded
            if isinstance(computed, _Failure):
                yield StageResult(item, None, computed.error)
                continue
            size = pool.bytes_of(computed)
            yield from storing.until(pool.threads, pool.most_bytes - size)
            storing.add(item, storer.submit(store, item, computed), size)
            del computed
        yield from storing.until(1, 0.0)


@dataclass(frozen=True)
class _Failure:
    """The error that computing ended with."""

    error: Exception


class _Storing(Generic[Item, Stored]):
    """Items whose results are being stored, the oldest first, and the bytes of each."""

    def __init__(self) -> None:
        self._items: dict[Future[Stored], tuple[Item, int]] = {}

    def add(self, item: Item, future: Future[Stored], size: int) -> None:
        """Take note of one more."""
        self._items[future] = item, size

    def until(self, threads: int, most_bytes: float) -> Generator[StageResult[Item, Stored]]:
        """Yield results as they are stored, until there is room for another.

        Args:
            threads: There is room once fewer than these are being stored,
            most_bytes: and have at most these bytes together; or once none is being stored.
        """
        while True:
            for future in [future for future in self._items if future.done()]:
                yield _ended(self._items.pop(future)[0], future)
            held = sum(size for _, size in self._items.values())
            if not self._items or (len(self._items) < threads and held <= most_bytes):
                return
            wait(self._items, return_when=FIRST_COMPLETED)


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
