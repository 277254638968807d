"""Load, compute and store at the same time, with never more than a few images in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["StageResult", "stream"]

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
    item is being stored. An interrupt lets the item being stored finish, then goes on up.

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
