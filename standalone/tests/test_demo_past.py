"""The filled-in past: brief, the same every time, and out of the way of what is live."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from vigie_contracts import names
from vigie_standalone.cli import app
from vigie_standalone.demo import past, run
from vigie_standalone.demo.model import simulate
from vigie_standalone.demo.past import chunks, messages, pause, slices
from vigie_standalone.demo.services import SERVICES
from vigie_standalone.home import Home
from vigie_standalone.services import Context, Options, services

NOON = 1_795_262_400
HOUR = 3600


class Recorder:
    """Takes messages; forgets nothing."""

    def __init__(self) -> None:
        self.event_batches: list[list[dict[str, Any]]] = []
        self.item_batches: list[list[dict[str, Any]]] = []

    async def events(self, events: list[dict[str, Any]]) -> None:
        self.event_batches.append(events)

    async def metrics(self, items: list[dict[str, Any]]) -> None:
        self.item_batches.append(items)


async def filled(monkeypatch: pytest.MonkeyPatch, start: int, end: int) -> Recorder:
    monkeypatch.setattr(past, "pause", lambda _items, _took: 0)
    recorder = Recorder()
    await past.fill_past(recorder, 7, 1.0, start, end)
    return recorder


def test_slices_cover_the_past_without_gap_or_overlap_and_keep_to_the_minutes() -> None:
    parts = list(slices(NOON + 5, NOON + 200))
    assert parts == [(NOON + 5, 55), (NOON + 60, 60), (NOON + 120, 60), (NOON + 180, 20)]
    assert list(slices(NOON, NOON)) == []


async def test_an_hour_of_the_past_is_a_sixth_of_what_the_present_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await filled(monkeypatch, NOON, NOON + HOUR)
    assert 10_000 < sum(map(len, sent.event_batches)) + sum(map(len, sent.item_batches)) < 70_000
    assert max(map(len, sent.event_batches + sent.item_batches)) <= past.BATCH_ITEMS


async def test_filled_past_is_the_same_every_time_and_lies_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = NOON + 30, NOON + 300
    first, second = [await filled(monkeypatch, start, end) for _ in range(2)]
    assert first.event_batches == second.event_batches
    assert first.item_batches == second.item_batches
    stamps = [item["timestamp"] for batch in first.item_batches for item in batch]
    assert start * 1000 <= min(stamps)
    assert max(stamps) < end * 1000


def test_brief_past_has_every_booking_and_the_sums_of_all_sessions() -> None:
    events, items = messages(7, 1.0, NOON, 60)
    activities = [simulate(7, service, NOON * 1000, 60) for service in SERVICES]
    kinds = Counter(event["type"].removeprefix("com.example.") for event in events)
    assert kinds["booking.completed"] == sum(a.funnel["booked"] for a in activities) > 0
    assert kinds["session.started"] == kinds["session.ended"] == 0
    sums: Counter[str] = Counter()
    for item in items:
        sums[item["name"]] += item["value"] if item["type"] == "counter" else 1
    assert sums[names.SESSIONS_STARTED] == sum(a.sessions_started for a in activities)
    assert sums[names.SESSIONS_ENDED] == sum(len(a.session_durations_s) for a in activities)
    assert 0 < sums[names.SESSION_DURATION] <= past.LATENCIES * len(SERVICES)


def test_pauses_bound_the_rate_and_grow_with_the_requests() -> None:
    assert pause(500, 0.01) == 500 / past.ITEMS_PER_S
    assert pause(500, 2.0) == 2.0 * past.PAUSE_FACTOR


async def test_live_play_begins_while_the_past_is_still_being_filled_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live = asyncio.Event()

    async def endless(*_: object) -> None:
        await asyncio.Event().wait()

    async def slice_sent(*_: object) -> None:
        live.set()

    monkeypatch.setattr(run, "fill_past", endless)
    monkeypatch.setattr(run, "_send_slice", slice_sent)
    options = run.DemoOptions("http://127.0.0.1:9", backfill_s=HOUR, control=tmp_path / "incidents.json")
    task = asyncio.create_task(run.run_demo(options))
    try:
        await asyncio.wait_for(live.wait(), 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_chunks_lose_nothing() -> None:
    assert list(chunks([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(chunks([], 2)) == []


def test_simulator_that_is_started_again_does_not_fill_in_the_past_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would count what was played live since as well: in other slices, so as other requests."""
    asked: list[int] = []

    async def noted(options: run.DemoOptions) -> None:
        asked.append(options.backfill_s)

    monkeypatch.setattr(run, "run_demo", noted)
    commands: list[list[str]] = []
    monkeypatch.setattr(
        "vigie_standalone.services.Process", lambda _name, command, **_: commands.append(list(map(str, command)))
    )
    services(Context(Options(tmp_path), Home(tmp_path), {}, lambda _name: print))
    _python, _m, _module, *arguments = commands[-1]  # as it is also when the supervisor starts it again
    for _ in range(2):
        assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert asked == [3600, 0]
