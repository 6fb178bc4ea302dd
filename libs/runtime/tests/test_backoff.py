"""How long is waited between attempts, on whose clock, and how often."""

import random

import pytest
from vigie_runtime.backoff import Backoff


class Middle(random.Random):
    """Draws the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0)
    pauses = [backoff.pause_s(failures, Middle()) for failures in (1, 2, 3, 4, 5, 10_000)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_pauses_are_spread() -> None:
    backoff, draw = Backoff(1.0, 1.0, jitter=0.5), random.Random(1)
    drawn = [backoff.pause_s(1, draw) for _ in range(1_000)]
    assert 0.5 <= min(drawn) < 0.6
    assert 1.4 < max(drawn) <= 1.5


async def test_attempts_have_a_pause_between_them_and_an_end() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backoff = Backoff(1.0, 2.0, jitter=0.0)
    assert [attempt async for attempt in backoff.attempts(sleep, 4)] == [1, 2, 3, 4]
    assert slept == [1.0, 2.0, 2.0]


async def test_who_leaves_the_loop_waits_no_more() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async for attempt in Backoff(1.0, 2.0).attempts(sleep):
        if attempt == 3:
            break
    assert len(slept) == 2
