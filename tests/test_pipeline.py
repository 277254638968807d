"""The three stages overlap, are bounded, and fail item by item."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.pipeline import LoadPool, RoomLimit, StorePool, stream


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


def test_results_are_stored_by_several_threads_at_once() -> None:
    """Each of three waits for the two others: with fewer threads none would end."""
    meeting = threading.Barrier(3, timeout=60)

    def store(item: int, value: int) -> int:
        meeting.wait()
        return value

    outcomes = list(stream(range(9), _same, lambda item, value: value, store, StorePool[int](3)))
    assert sorted(outcome.item for outcome in outcomes) == list(range(9))
    assert [outcome.error for outcome in outcomes] == [None] * 9


@pytest.mark.parametrize(("size", "most"), [(10, 3), (14, 2), (40, 1), (1, 4)])
def test_results_being_stored_are_bounded_by_their_bytes(size: int, most: int) -> None:
    """Of 30 bytes and four threads: what is too large for that is stored alone."""
    storing = peak = 0
    lock = threading.Lock()

    def store(item: int, value: int) -> int:
        nonlocal storing, peak
        with lock:
            storing += 1
            peak = max(peak, storing)
        time.sleep(0.02)
        with lock:
            storing -= 1
        return value

    pool = StorePool[int](4, 30, lambda value: size)
    assert len(list(stream(range(12), _same, lambda item, value: value, store, pool))) == 12
    assert peak == most


def test_a_result_stored_early_is_told_before_a_slow_one() -> None:
    first_may_end = threading.Event()

    def store(item: int, value: int) -> int:
        if not item:
            assert first_may_end.wait(60)
        return value

    told = stream(range(5), _same, lambda item, value: value, store, StorePool[int](2))
    assert next(told).item == 1
    first_may_end.set()
    assert sorted(outcome.item for outcome in told) == [0, 2, 3, 4]


def test_what_lacked_memory_is_computed_again_once_the_others_are_stored() -> None:
    stored: list[int] = []
    tried: list[int] = []

    def compute(item: int, value: int) -> int:
        tried.append(item)
        if item == 4 or (item == 2 and 1 not in stored):
            raise MemoryError
        return value

    def store(item: int, value: int) -> int:
        time.sleep(0.05)
        stored.append(item)
        return value

    pool = StorePool[int](2, alone=(MemoryError,))
    outcomes = {outcome.item: outcome for outcome in stream(range(5), _same, compute, store, pool)}
    assert tried == [0, 1, 2, 2, 3, 4, 4]
    assert {item for item, outcome in outcomes.items() if outcome.error} == {4}
    assert sorted(stored) == [0, 1, 2, 3]


def test_images_are_loaded_by_several_threads_at_once_and_computed_in_order() -> None:
    """Each of three waits for the two others: with fewer threads none would end."""
    meeting = threading.Barrier(3, timeout=60)
    computed: list[int] = []

    def load(item: int) -> int:
        meeting.wait()
        return item

    def compute(item: int, value: int) -> int:
        computed.append(item)
        return value

    outcomes = list(stream(range(9), load, compute, _stored, loaders=LoadPool[int](3)))
    assert [outcome.error for outcome in outcomes] == [None] * 9
    assert computed == list(range(9))


@given(
    sizes=st.lists(st.integers(0, 50), max_size=12),
    threads=st.integers(1, 4),
    most=st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_images_that_wait_are_bounded_by_their_bytes(
    sizes: list[int], threads: int, most: int
) -> None:
    """Also where later ones would be loaded first; one that is too large waits alone."""
    waiting: dict[int, int] = {}
    problems: list[object] = []
    lock = threading.Lock()

    def load(item: int) -> int:
        with lock:
            waiting[item] = sizes[item]
            if (len(waiting) > 1 and sum(waiting.values()) > most) or len(waiting) > threads + 1:
                problems.append(dict(waiting))
        return item

    def compute(item: int, value: int) -> int:
        return value

    def bytes_of(item: int) -> int:
        time.sleep(0.001 * (item % 3))  # so that the order changes
        return sizes[item]

    original = RoomLimit.give_back

    def give_back(room: RoomLimit, number: int) -> None:
        with lock:
            waiting.pop(number, None)
        original(room, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoomLimit, "give_back", give_back)
        pool = LoadPool[int](threads, most, bytes_of)
        outcomes = list(stream(range(len(sizes)), load, compute, _stored, loaders=pool))
    assert [outcome.item for outcome in outcomes] == list(range(len(sizes)))
    assert not problems


def test_image_without_readable_header_fails_alone() -> None:
    def bytes_of(item: int) -> int:
        if item in (1, 2):
            raise ValueError
        return 8

    def load(item: int) -> int:
        if item in (2, 3):
            raise OSError(f"cannot read {item}")
        return item

    pool = LoadPool[int](2, 10, bytes_of)
    outcomes = {
        outcome.item: outcome
        for outcome in stream(range(6), load, lambda item, value: value, _stored, loaders=pool)
    }
    assert {item: str(end.error) for item, end in outcomes.items() if end.error} == {
        2: "cannot read 2",
        3: "cannot read 3",
    }
    assert [outcomes[item].stored for item in range(6)] == [0, 1, None, None, 4, 5]


def test_interrupt_ends_loaders_that_wait_for_room() -> None:
    loaded: list[int] = []

    def load(item: int) -> int:
        loaded.append(item)
        return item

    def compute(item: int, value: int) -> int:
        while item == 0 and len(loaded) < 2:
            time.sleep(0.001)
        raise KeyboardInterrupt

    pool = LoadPool[int](4, 10, lambda item: 10)
    with pytest.raises(KeyboardInterrupt):
        list(stream(range(9), load, compute, _stored, loaders=pool))
    assert len(loaded) == 2  # the first, and the one that waited; the others had no room
    assert not [one for one in threading.enumerate() if one.name.startswith("srcli-load")]


def _stored(item: int, value: int) -> int:
    return value


def _same(item: int) -> int:
    return item


def test_no_items() -> None:
    none: list[int] = []
    assert not list(stream(none, _same, lambda item, value: value, lambda item, value: value))
