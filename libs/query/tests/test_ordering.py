"""Very many things are sorted as few are, while other threads go on."""

from __future__ import annotations

import random
import sys
import threading
import time

from vigie_query.ordering import ordered


def test_it_is_sorted_and_what_is_equal_stays_in_its_order() -> None:
    for size in (0, 1, 999, 1_000, 1_001, 4_567):
        some = [(random.randrange(50), at) for at in range(size)]
        assert ordered(some) == sorted(some)
        assert ordered(some, lambda one: one[0]) == sorted(some, key=lambda one: one[0])


def test_another_thread_gets_its_turn() -> None:
    """Where sorting at once holds everything up for several tenths of a second."""
    some = [(f"name-{i % 7}", (("a", str(i * 7_919 % 100_000)), ("b", str(i)))) for i in range(60_000)]
    waited: list[float] = []
    done = threading.Event()

    def beat() -> None:
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.0005)  # how late it wakes is what is measured
            now = time.perf_counter()
            waited.append(now - last)
            last = now

    other = threading.Thread(target=beat)
    other.start()
    began = time.perf_counter()
    made = ordered(some)
    took = time.perf_counter() - began
    done.set()
    other.join()
    assert made == sorted(some)
    assert max(waited) < max(took / 4, 10 * sys.getswitchinterval())
