"""Every moment has exactly one person on call, or nobody; also in the weeks in which clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.schedules.model import Layer, Override, Restriction, Schedule, Unit, Weekday
from vigie_alerting.schedules.rotation import Gap, Shift, gaps, now, on_call, shifts

HOUR = 3_600_000
DAY = 24 * HOUR
PEOPLE = ("ana", "ben", "cleo", "dan")
ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/Santiago",  # changes its clocks at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kolkata",
    "Pacific/Apia",  # had no 30th of December in 2011
)
STARTS = (date(2026, 3, 23), date(2026, 10, 19), date(2026, 4, 1), date(2026, 9, 2), date(2011, 12, 26))
MINUTES = st.sampled_from((0, 1, 30, 90, 120, 150, 180, 540, 1_020, 1_439))

restrictions = st.builds(
    Restriction,
    weekdays=st.lists(st.sampled_from(Weekday), max_size=3).map(tuple),
    start=MINUTES,
    end=st.one_of(MINUTES, st.just(1_440)),
)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    return Layer(
        name=draw(st.sampled_from(("day", "night", "lead"))),
        people=tuple(draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3))),
        start=draw(st.sampled_from(STARTS)) + timedelta(days=draw(st.integers(-3, 3))),
        handoff=draw(MINUTES),
        every=draw(st.integers(1, 3)),
        unit=draw(st.sampled_from(Unit)),
        timezone=draw(st.sampled_from(("", *ZONES))),
        restrictions=tuple(draw(st.lists(restrictions, max_size=2))),
    )


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    """Some weeks around a change of clocks."""
    day = draw(st.sampled_from(STARTS)) + timedelta(days=draw(st.integers(-5, 5)))
    start = ms(datetime(day.year, day.month, day.day, tzinfo=UTC)) + draw(st.integers(0, 47)) * HOUR // 2
    return start, start + draw(st.integers(1, 10 * 48)) * HOUR // 2


@st.composite
def overrides(draw: st.DrawFn, span: tuple[int, int]) -> Override:
    start = draw(st.integers(span[0] - DAY, span[1]))
    end = start + draw(st.integers(1, 3 * DAY))
    return Override(id=draw(st.sampled_from("xyz")), person=draw(st.sampled_from(PEOPLE)), start=start, end=end)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Schedule, int, int]:
    span = draw(spans())
    made = Schedule(
        timezone=draw(st.sampled_from(ZONES)),
        layers=tuple(draw(st.lists(layers(), min_size=1, max_size=3))),
        overrides=tuple(draw(st.lists(overrides(span), max_size=3))),
    )
    return made, *span


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def wall(at_ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))


def weekly(*people: str, **more: object) -> Layer:
    return Layer(name="weekly", people=people, start=date(2026, 3, 23), handoff=540, **more)  # type: ignore[arg-type]


@given(case=cases(), draw=st.data())
def test_every_moment_has_the_final_layers_person_or_is_in_a_gap(
    case: tuple[Schedule, int, int], draw: st.DataObject
) -> None:
    schedule, start, end = case
    found = shifts(schedule, start, end)
    edges = [edge for one in found for edge in (one.start, one.end - 1, one.end)]
    moments = st.one_of(st.integers(start, end - 1), st.sampled_from(edges or [start]))
    for at in draw.draw(st.lists(moments, min_size=1, max_size=10)):
        if not start <= at < end:
            continue
        here = [(one.person, one.by) for one in found if one.start <= at < one.end]
        told = on_call(schedule, at)
        assert here == ([] if told is None else [told])


@settings(max_examples=50)
@given(case=cases())
def test_shifts_and_gaps_tile_the_time(case: tuple[Schedule, int, int]) -> None:
    schedule, start, end = case
    found = shifts(schedule, start, end)
    pieces = sorted([(one.start, one.end) for one in found] + [tuple(one) for one in gaps(found, start, end)])
    assert all(a < b for a, b in pieces)
    assert [start, *(b for _, b in pieces)] == [*(a for a, _ in pieces), end]


@settings(max_examples=50)
@given(case=cases(), share=st.floats(0.0, 1.0))
def test_what_is_asked_for_in_two_parts_is_the_same(case: tuple[Schedule, int, int], share: float) -> None:
    schedule, start, end = case
    middle = start + int((end - start) * share)
    whole = shifts(schedule, start, end)
    parts = shifts(schedule, start, middle) + shifts(schedule, middle, end)
    cut = [
        piece
        for one in whole
        for piece in (one._replace(end=min(one.end, middle)), one._replace(start=max(one.start, middle)))
        if piece.start < piece.end
    ]
    assert parts == cut


@settings(max_examples=50)
@given(layer=layers(), span=spans())
def test_hand_offs_are_at_the_same_wall_clock_time(layer: Layer, span: tuple[int, int]) -> None:
    layer = Layer(name="all", people=PEOPLE, start=layer.start, handoff=layer.handoff, every=layer.every,
                  unit=layer.unit, timezone=layer.timezone or "UTC")  # fmt: skip
    found = shifts(Schedule(timezone="UTC", layers=(layer,)), *span)
    zone = ZoneInfo(layer.timezone)
    for one in found[1:] if found and found[0].start == span[0] else found:
        at = wall(one.start, layer.timezone)
        wanted = at.replace(hour=layer.handoff // 60, minute=layer.handoff % 60, fold=0)
        if at.hour * 60 + at.minute != layer.handoff:  # a time that the clock skips that day: it comes later
            assert wanted.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wanted.replace(tzinfo=None)
        turns = (at.date() - layer.start).days / (layer.every * layer.unit.days)
        if layer.timezone != "Pacific/Apia":
            assert turns == int(turns)
            assert one.person == PEOPLE[int(turns) % len(PEOPLE)]


@settings(max_examples=50)
@given(case=cases())
def test_now_says_who_until_when_and_who_is_next(case: tuple[Schedule, int, int]) -> None:
    schedule, at, _ = case
    seen = now(schedule, at)
    assert (seen.person, seen.by) == (on_call(schedule, at) or (None, ""))
    if seen.until is not None:
        before, after = on_call(schedule, seen.until - 1), on_call(schedule, seen.until)
        assert (before and before[0]) == seen.person != (after and after[0])
    if seen.next_at is not None:
        assert seen.next_at >= (seen.until or 0)
        next_one = on_call(schedule, seen.next_at)
        assert next_one is not None
        assert next_one[0] == seen.next


def test_nine_o_clock_stays_nine_o_clock_when_summer_time_begins() -> None:
    schedule = Schedule(timezone="Europe/Paris", layers=(weekly("ana", "ben"),))
    found = shifts(schedule, ms(datetime(2026, 3, 23, 8, tzinfo=UTC)), ms(datetime(2026, 4, 6, 7, tzinfo=UTC)))
    assert [(one.person, one.end - one.start) for one in found] == [("ana", 7 * DAY - HOUR), ("ben", 7 * DAY)]
    assert wall(found[1].start, "Europe/Paris").isoformat() == "2026-03-30T09:00:00+02:00"


def test_a_hand_off_in_the_skipped_hour_comes_after_it_and_one_in_the_doubled_hour_the_first_time() -> None:
    layer = Layer(name="daily", people=("ana", "ben"), start=date(2026, 3, 28), handoff=150, unit=Unit.DAY)
    schedule = Schedule(timezone="Europe/Paris", layers=(layer,))
    spring = shifts(schedule, ms(datetime(2026, 3, 28, 12, tzinfo=UTC)), ms(datetime(2026, 3, 30, 12, tzinfo=UTC)))
    assert [wall(one.start, "Europe/Paris").strftime("%d %H:%M") for one in spring[1:]] == ["29 03:30", "30 02:30"]
    autumn = shifts(schedule, ms(datetime(2026, 10, 24, 12, tzinfo=UTC)), ms(datetime(2026, 10, 25, 12, tzinfo=UTC)))
    assert [datetime.fromtimestamp(one.start / 1000, UTC).hour for one in autumn[1:]] == [0]


def test_nights_belong_to_the_day_on_which_they_begin() -> None:
    night = Restriction((Weekday.FRIDAY,), 22 * 60, 6 * 60)
    schedule = Schedule(timezone="Europe/Paris", layers=(weekly("ana", restrictions=(night,)),))
    at = datetime(2026, 6, 6, 3, 59, tzinfo=UTC)  # Saturday, 05:59 in Paris
    assert on_call(schedule, ms(at)) == ("ana", "weekly")
    assert on_call(schedule, ms(at + timedelta(minutes=1))) is None


def test_nobody_is_on_call_before_the_rotation_begins() -> None:
    schedule = Schedule(timezone="UTC", layers=(weekly("ana"),))
    start = ms(datetime(2026, 3, 23, 9, tzinfo=UTC))
    assert on_call(schedule, start - 1) is None
    assert now(schedule, start - 5 * DAY) == (None, "", start, "ana", start)
    assert gaps(shifts(schedule, start - DAY, start + DAY), start - DAY, start + DAY) == [Gap(start - DAY, start)]


def test_one_person_without_end_is_said_to_be_that() -> None:
    schedule = Schedule(timezone="UTC", layers=(weekly("ana"),))
    assert now(schedule, ms(datetime(2026, 6, 1, tzinfo=UTC))) == ("ana", "weekly", None, None, None)


def test_an_override_is_over_all_layers_and_the_last_one_counts() -> None:
    at = ms(datetime(2026, 6, 1, tzinfo=UTC))
    first = Override(id="a", person="cleo", start=at, end=at + 2 * HOUR)
    last = Override(id="b", person="dan", start=at + HOUR, end=at + 3 * HOUR)
    schedule = Schedule(timezone="UTC", layers=(weekly("ana"),), overrides=(first, last))
    assert shifts(schedule, at - HOUR, at + 4 * HOUR) == [
        Shift("ana", at - HOUR, at, "weekly"),
        Shift("cleo", at, at + HOUR, "a", override=True),
        Shift("dan", at + HOUR, at + 3 * HOUR, "b", override=True),
        Shift("ana", at + 3 * HOUR, at + 4 * HOUR, "weekly"),
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_everything_is_quick_to_see(zone: str) -> None:
    often = tuple(Restriction((), start, start + 60) for start in range(0, 1_400, 200))
    many = Layer(name="many", people=PEOPLE, start=date(2026, 1, 1), unit=Unit.DAY, restrictions=often)
    start = ms(datetime(2026, 1, 1, tzinfo=UTC))
    assert len(shifts(Schedule(timezone=zone, layers=(many,)), start, start + 366 * DAY)) > 2_000
