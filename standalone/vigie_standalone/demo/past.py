"""Fills in the past beside the live play: few messages, and slowly enough that live data stays live.

Every sample of the past is late data, and every event a request key to store, so the past is told more briefly than
the present: a slice is a minute, gauges and sums come once per slice, and of latencies only some.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from vigie_standalone.demo.messages import cloud_events, metric_items, session_items
from vigie_standalone.demo.model import simulate
from vigie_standalone.demo.sender import Sender
from vigie_standalone.demo.services import SERVICES

T = TypeVar("T")
Item = dict[str, Any]
SLICE_S = 60
LATENCIES = 8
"""Per endpoint and slice."""
BATCH_ITEMS = 500
ITEMS_PER_S = 2_000
PAUSE_FACTOR = 4.0
"""Pauses are this much longer than the request before them: a machine that is busy gets asked less."""


async def fill_past(sender: Sender, seed: int, rate: float, start: int, end: int) -> None:
    """Send what happened from second `start` up to, without, second `end`; oldest first."""
    for at, seconds in slices(start, end):
        events, items = messages(seed, rate, at, seconds)
        for part in chunks(events, BATCH_ITEMS):
            began = time.monotonic()
            await sender.events(part)
            await asyncio.sleep(pause(len(part), time.monotonic() - began))
        for part in chunks(items, BATCH_ITEMS):
            began = time.monotonic()
            await sender.metrics(part)
            await asyncio.sleep(pause(len(part), time.monotonic() - began))


def slices(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(begin, seconds): full minutes of the clock, whenever it is asked for; shorter ones only at both ends."""
    while start < end:
        length = min(end, start - start % SLICE_S + SLICE_S) - start
        yield start, length
        start += length


def messages(seed: int, rate: float, at: int, seconds: int) -> tuple[list[Item], list[Item]]:
    """All services' events and metric items of one slice."""
    events: list[Item] = []
    items: list[Item] = []
    for service in SERVICES:
        activity = simulate(seed, service, at * 1000, seconds, rate=rate)
        events += cloud_events(activity, seed, sessions=False)
        items += metric_items(activity, latencies=LATENCIES)
        items += session_items(activity, durations=LATENCIES)
    return events, items


def pause(items: int, took_s: float) -> float:
    """How long to leave the others alone after a request."""
    return max(items / ITEMS_PER_S, took_s * PAUSE_FACTOR)


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Parts of at most `size`."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
