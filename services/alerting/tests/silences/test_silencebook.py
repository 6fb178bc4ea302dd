"""The life of silences, whatever is done to them: what one has muted stays true of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from msgspec.structs import replace
from vigie_alerting.routing.matchers import Matchers, parse
from vigie_alerting.silences.active import State, Timing, state
from vigie_alerting.silences.errors import MutesEverything, SilenceExpired, SilenceNotFound
from vigie_alerting.silences.model import Draft, Silence
from vigie_alerting.silences.preview import Preview, Previews
from vigie_alerting.silences.silencebook import MAX_EXPRESSIONS, MAX_OPEN, Silencebook
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Actor
from vigie_identity.errors import LimitReached
from vigie_query.errors import InvalidParameter
from vigie_query.times import DAY, HOUR, MINUTE
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy, StoreUnavailable
from vigie_runtime.expressions import Expressions, ExpressionTooSlow
from vigie_storage.alerts.configuration import Stored
from vigie_storage.mongo import TooSlow

ACME, ANNA = TenantId("acme"), Actor("u1", "anna")
NOW = 1_790_000_100_000
HOSTS = ("a", "b")
T = TypeVar("T")


@dataclass
class Memory:
    """The store, the book and what else a silencebook asks, as one."""

    kept: dict[str, Stored[Silence]] = field(default_factory=dict[str, Stored[Silence]])
    open: int = 0
    expressions: set[str] = field(default_factory=set[str])

    async def get(self, _tenant: TenantId, name: str) -> Stored[Silence] | None:
        return self.kept.get(name)

    async def write(self, _tenant: TenantId, name: str, value: Silence, by: str, *_: Any, **__: Any) -> Stored[Silence]:
        before = self.kept.get(name)
        version = before.version + 1 if before else 1
        self.kept[name] = Stored(name, version, datetime.fromtimestamp(0, UTC), by, value)
        return self.kept[name]

    async def put(
        self, tenant: TenantId, name: str, value: Silence, by: Actor, *_: Any, also: Any = None, **__: Any
    ) -> Stored[Silence]:
        if also is not None:
            await also(None)
        return await self.write(tenant, name, value, by.name)

    async def of(self, _tenant: TenantId) -> Any:
        """Of the index."""
        return SimpleNamespace(open=self.open, expressions=self.expressions)

    async def tried(self, *_: Any, **__: Any) -> Preview:
        return Preview(0, 0, True, 0, 0, 0)


def made(memory: Memory, clock: ManualClock) -> Silencebook:
    all_: Any = memory
    return Silencebook(all_, all_, all_, all_, clock)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


timings = st.builds(
    lambda start, length, rrule, each: (start, length, rrule, each if rrule else 0),
    st.integers(-2 * HOUR, 4 * HOUR),
    st.integers(-HOUR, 2 * DAY),
    st.sampled_from(["", "", "FREQ=HOURLY;INTERVAL=2", "FREQ=DAILY;COUNT=2"]),
    st.integers(10, 180).map(lambda minutes: minutes * MINUTE),
)


class Lives(RuleBasedStateMachine):
    silences = Bundle("silences")

    @initialize()
    def begin(self) -> None:
        self.clock, self.memory = ManualClock(NOW), Memory()
        self.book = made(self.memory, self.clock)
        self.seen: list[tuple[str, int, str, bool]] = []
        """Silence, time, host, and whether it muted that then."""

    def draft(self, host: str, timing: tuple[int, int, str, int], start: int | None = None) -> Draft:
        after, length, rrule, each = timing
        begins = self.clock.now_ms() + after if start is None else start
        return Draft(parse(f'host="{host}"').all, Timing(begins, begins + length, rrule, "UTC", each), "disks")

    def mutes(self, name: str, at: int, host: str) -> bool:
        value = self.memory.kept[name].value
        return state(value.timing, at) is State.ACTIVE and Matchers(value.matchers).match({"host": host})

    @rule(target=silences, host=st.sampled_from(HOSTS), timing=timings)
    def create(self, host: str, timing: tuple[int, int, str, int]) -> Any:
        try:
            stored, _ = run(self.book.create(ACME, self.draft(host, timing), ANNA))
        except InvalidParameter:
            return multiple()
        assert state(stored.value.timing, self.clock.now_ms()) is not State.EXPIRED
        return stored.name

    @rule(target=silences, name=silences, host=st.sampled_from(HOSTS), timing=timings, keep=st.booleans())
    def change(self, name: str, host: str, timing: tuple[int, int, str, int], keep: bool) -> Any:
        before, now = self.memory.kept[name].value, self.clock.now_ms()
        try:
            draft = self.draft(host, timing, before.timing.starts if keep else None)
            after, _ = run(self.book.change(ACME, name, draft, ANNA))
        except InvalidParameter:
            assert self.memory.kept[name].value == before
            return multiple()
        assert state(after.value.timing, now) is not State.EXPIRED
        if after.name != name:
            assert state(self.memory.kept[name].value.timing, now) is State.EXPIRED
        return after.name

    @rule(target=silences, name=silences, each=st.integers(10, 180))
    def amend(self, name: str, each: int) -> Any:
        """The same one, of another length each time."""
        before = self.memory.kept[name].value
        timing = replace(before.timing, duration_ms=each * MINUTE if before.timing.rrule else 0)
        try:
            return run(self.book.change(ACME, name, Draft(before.matchers, timing, "less"), ANNA))[0].name
        except InvalidParameter:
            return multiple()

    @rule(name=silences, later=st.integers(-HOUR, 3 * DAY))
    def extend(self, name: str, later: int) -> None:
        was = state(self.memory.kept[name].value.timing, self.clock.now_ms())
        try:
            run(self.book.extend(ACME, name, self.clock.now_ms() + later, ANNA))
        except InvalidParameter:
            return
        except SilenceExpired:
            assert was is State.EXPIRED
            return
        assert was is not State.EXPIRED

    @rule(name=silences)
    def expire(self, name: str) -> None:
        run(self.book.expire(ACME, name, ANNA))
        assert state(self.memory.kept[name].value.timing, self.clock.now_ms()) is State.EXPIRED

    @rule(minutes=st.integers(1, 600))
    def pass_time(self, minutes: int) -> None:
        began = self.clock.now_ms()
        self.clock.advance(60.0 * minutes)
        for at in range(began, self.clock.now_ms(), 6_000 * minutes):
            self.seen += [(name, at, host, self.mutes(name, at, host)) for name in self.memory.kept for host in HOSTS]

    @invariant()
    def what_was_muted_stays_explained(self) -> None:
        for name, at, host, muted in self.seen:
            assert self.mutes(name, at, host) is muted


Lives.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_the_life_of_silences = Lives.TestCase


async def test_one_that_is_not_there_is_not_found() -> None:
    book = made(Memory(), ManualClock(NOW))
    for work in (book.get(ACME, "x"), book.extend(ACME, "x", NOW + HOUR, ANNA), book.expire(ACME, "x", ANNA)):
        with pytest.raises(SilenceNotFound):
            await work


async def test_who_is_named_as_the_creator_of_another_caller_is_so_in_a_line_of_bounded_length() -> None:
    memory = Memory()
    book = made(memory, ManualClock(NOW))

    def draft(creator: str) -> Draft:
        return Draft(parse('host="a"').all, Timing(NOW, NOW + HOUR), "disks", creator)

    own, _ = await book.create(ACME, draft("anna"), ANNA)
    unnamed, _ = await book.create(ACME, draft(" "), ANNA)
    assert own.value.said == unnamed.value.said == "silenced by anna"
    other, _ = await book.create(ACME, draft(" ben "), ANNA)
    assert (other.value.created_by, other.value.said) == ("ben", "silenced by anna, for ben")
    changed, _ = await book.change(ACME, other.name, draft("carl"), Actor("u2", "dora"))
    assert (changed.name, changed.value.said) == (other.name, "silenced by anna, for ben"), "who made it stays"
    for wrong in ("x" * 201, "a\nb", "a\u202eb"):
        with pytest.raises(InvalidParameter, match="createdBy"):
            await book.create(ACME, draft(wrong), ANNA)
    stored_before = replace(own.value, created_by="x" * 8_000_000)
    assert len(stored_before.said) < 250


@pytest.mark.parametrize("error", [StoreUnavailable(), TooSlow(), Busy("expressions"), ExpressionTooSlow("x", 1.0)])
async def test_one_is_made_although_the_past_cannot_be_looked_at_and_none_that_mutes_everything(
    error: Exception,
) -> None:
    class Away:
        async def since(self, *_: Any) -> Any:
            raise error

    memory, clock = Memory(), ManualClock(NOW)
    all_: Any = memory
    away: Any = Away()
    book = Silencebook(all_, all_, all_, Previews(away, away, Expressions(), clock), clock)
    about, timing = parse('host="a"').all, Timing(NOW, NOW + HOUR)
    made, preview = await book.create(ACME, Draft(about, timing, "a storm"), ANNA)
    assert memory.kept[made.name].value.comment == "a storm"
    assert not preview.known
    changed, preview = await book.change(ACME, made.name, Draft(about, timing, "still a storm"), ANNA)
    assert (changed.name, preview.known) == (made.name, False)
    with pytest.raises(MutesEverything):
        await book.create(ACME, Draft(parse('host=~".+"').all, timing, "all"), ANNA)


async def test_there_are_only_so_many_that_every_alert_is_tried_against() -> None:
    book = made(Memory(open=MAX_OPEN), ManualClock(NOW))
    timing = Timing(NOW, NOW + HOUR)
    with pytest.raises(LimitReached):
        await book.create(ACME, Draft(parse('host=~"a.*"').all, timing, "disks"), ANNA)
    assert await book.create(ACME, Draft(parse('host="a"').all, timing, "disks"), ANNA)


async def test_there_are_only_so_many_expressions_that_an_alert_may_be_tried_against() -> None:
    there = {f"a{at}.*" for at in range(MAX_EXPRESSIONS - 1)}
    book, timing = made(Memory(expressions=there), ManualClock(NOW)), Timing(NOW, NOW + HOUR)
    with pytest.raises(LimitReached):
        await book.create(ACME, Draft(parse('site="own",host=~"b.*",pod!~"c.*"').all, timing, "disks"), ANNA)
    for text in ('site="own",host=~"b.*"', 'site="own",host=~"a1.*",pod!~"a2.*"', 'site="own",host=~"b|c",pod=~"d|e"'):
        assert await book.create(ACME, Draft(parse(text).all, timing, "disks"), ANNA)
