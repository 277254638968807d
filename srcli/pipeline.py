"""Stages that overlap in threads, with never more than a few images or frames in memory."""

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

__all__ = [
    "LoadPool",
    "RoomLimit",
    "StageResult",
    "StorePool",
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
class LoadPool(Generic[Item]):
    """Options of loading several items at once.

    Args:
        threads: That load: as many items are being loaded or wait to be computed.
        most_bytes: Of all of them; a larger one is loaded once none before it waits.
        bytes_of: Bytes of an item before it is loaded, told in the thread that will load it;
            an item that has none (an error) takes no room: loading it will tell why.
    """

    threads: int = 1
    most_bytes: float = math.inf
    bytes_of: Callable[[Item], int] = lambda _: 0


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
    loaders: LoadPool[Item] | None = None,
) -> Generator[StageResult[Item, Stored]]:
    """Run every item through three stages that overlap; one item's error ends that item alone.

    While one item is computed, in the caller's thread, the next are loaded and those before are
    stored, in other threads: at most as many loaded items wait as there are loaders, and no
    computed one. An interrupt lets the items being stored finish, then propagates.

    Args:
        items: What to work on, in order.
        load: First stage.
        compute: Second stage, called with the item and what was loaded.
        store: Third stage, called with the item and what was computed.
        pool: How many results are stored at once; None: one.
        loaders: How many items are loaded at once; None: one.

    Yields:
        How each item ended. Errors come as soon as they happen, results once they are stored: in
        order, unless several are stored at once.
    """
    pool = pool or StorePool()
    with (
        _Loading(items, load, loaders or LoadPool()) as loading,
        ThreadPoolExecutor(pool.threads, "srcli-store") as storer,
    ):
        storing = _Storing[Item, Stored]()

        def attempt(item: Item, loaded: Callable[[], Loaded]) -> Computed | _Failure:
            try:
                return compute(item, loaded())
            except Exception as error:  # noqa: BLE001 one bad item must not end the others
                return _Failure(error)

        for item, loaded in loading:
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


class RoomLimit:
    """Room for items that together hold at most so many bytes; one alone always has room.

    Args:
        most: Items at once.
        most_bytes: Of all of them.
        in_order: Items are numbered from 0 on, and none gets room before those with lower numbers.
    """

    def __init__(self, most: float, most_bytes: float, *, in_order: bool = False) -> None:
        self._most, self._most_bytes, self._in_order = most, most_bytes, in_order
        self._held: dict[int, int] = {}
        self._changed = threading.Condition()
        self._next = 0
        self._closed = False

    def take(self, number: int, size: int) -> None:
        """Wait for room for an item of so many bytes, and take it.

        Raises:
            RuntimeError: See `close`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._may_take(number, size))
            if self._closed:
                raise RuntimeError("closed while waiting for room")
            self._next += 1
            self._held[number] = size
            self._changed.notify_all()

    def give_back(self, number: int) -> None:
        """Give back the room of an item, if it has any."""
        with self._changed:
            self._held.pop(number, None)
            self._changed.notify_all()

    def wait_until_empty(self) -> bool:
        """Wait until no item has room; False if none had any."""
        with self._changed:
            waited = bool(self._held)
            self._changed.wait_for(lambda: not self._held)
        return waited

    def close(self) -> None:
        """Give no more room; whoever waits for it gets an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _may_take(self, number: int, size: int) -> bool:
        if self._in_order and number != self._next:
            return False
        held = self._held.values()
        return not held or (len(held) < self._most and sum(held) + size <= self._most_bytes)


class _Loading(Generic[Item, Loaded]):
    """Items in order, each with a function that waits until it is loaded; some are loaded ahead.

    Args:
        items: All of them.
        load: Loads one.
        pool: How many at once.
    """

    def __init__(
        self, items: Iterable[Item], load: Callable[[Item], Loaded], pool: LoadPool[Item]
    ) -> None:
        self._source, self._load, self._pool = enumerate(items), load, pool
        self._room = RoomLimit(math.inf, pool.most_bytes, in_order=True)
        self._threads = ThreadPoolExecutor(pool.threads, "srcli-load")

    def __enter__(self) -> "_Loading[Item, Loaded]":
        return self

    def __exit__(self, *_: object) -> None:
        self._room.close()
        self._threads.shutdown()

    def __iter__(self) -> Generator[tuple[Item, Callable[[], Loaded]]]:
        ahead = deque(self._begin(self._pool.threads))
        while ahead:
            ahead.extend(self._begin(1))
            yield ahead.popleft()

    def _begin(self, count: int) -> Generator[tuple[Item, Callable[[], Loaded]]]:
        for number, item in islice(self._source, count):
            future = self._threads.submit(self._load_within_limit, number, item)
            yield item, partial(self._loaded, number, future)

    def _load_within_limit(self, number: int, item: Item) -> Loaded:
        try:
            size = self._pool.bytes_of(item)
        except Exception:  # noqa: BLE001 loading it tells why
            size = 0
        self._room.take(number, size)
        return self._load(item)

    def _loaded(self, number: int, future: Future[Loaded]) -> Loaded:
        """Wait for a loaded item; being computed it takes no room of those that wait."""
        try:
            return future.result()
        finally:
            self._room.give_back(number)


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
