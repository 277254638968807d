"""The three stages overlap, are bounded, and fail item by item."""

import threading
import time

import pytest

from srcli.pipeline import stream


def test_stages_overlap() -> None:
    """While one item is computed, the next is loaded and the last is stored."""
    meeting = threading.Barrier(3, timeout=60)

    def load(item: int) -> int:
        if item >= 2:
            meeting.wait()
        return item

    def compute(item: int, value: int) -> int:
        if 1 <= item <= 8:
            meeting.wait()
        return value

    def store(item: int, value: int) -> int:
        if item <= 7:
            meeting.wait()
        return value

    outcomes = list(stream(range(10), load, compute, store))
    assert [outcome.stored for outcome in outcomes] == list(range(10))


def test_never_more_than_a_few_in_memory() -> None:
    alive: list[int] = []
    most = 0
    lock = threading.Lock()

    def load(item: int) -> int:
        nonlocal most
        with lock:
            alive.append(item)
            most = max(most, len(alive))
        return item

    def store(item: int, value: int) -> int:
        time.sleep(0.01)
        with lock:
            alive.remove(item)
        return value

    outcomes = list(stream(range(20), load, lambda item, value: value, store))
    assert [o.stored for o in outcomes] == list(range(20))
    assert most <= 4  # loaded, loading, computed, being stored


@pytest.mark.parametrize("stage", ["load", "compute", "store"])
def test_one_error_ends_one_item(stage: str) -> None:
    def at(name: str):
        def run(item: int, *_: object) -> int:
            if name == stage and item % 3 == 1:
                raise ValueError(f"{name} {item}")
            return item

        return run

    outcomes = list(stream(range(8), at("load"), at("compute"), at("store")))
    assert sorted(o.item for o in outcomes) == list(range(8))
    failed = {o.item: str(o.error) for o in outcomes if o.error}
    assert failed == {i: f"{stage} {i}" for i in (1, 4, 7)}


def test_an_interrupt_lets_the_stored_item_finish() -> None:
    stored: list[int] = []
    seen: list[int] = []

    def compute(item: int, value: int) -> int:
        if item == 2:
            raise KeyboardInterrupt
        return value

    def store(item: int, value: int) -> int:
        time.sleep(0.05)
        stored.append(item)
        return value

    with pytest.raises(KeyboardInterrupt):
        seen.extend(o.item for o in stream(range(9), lambda item: item, compute, store))
    assert stored == [0, 1]


def test_no_items() -> None:
    assert list(stream([], lambda item: item, lambda item, value: value, lambda item, v: v)) == []
