"""Silences as Alertmanager's JSON, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from vigie_contracts.problems import shortened
from vigie_query.matchers import Matcher, Operator
from vigie_query.times import iso
from vigie_storage.alerts.configuration import Stored
from vigie_web.errors import Malformed

from vigie_alerting.silences.active import State, Timing, phase
from vigie_alerting.silences.model import Draft, Silence

Json = dict[str, Any]
_OPERATORS: Final = {
    (False, True): Operator.EQUAL,
    (False, False): Operator.DIFFERENT,
    (True, True): Operator.MATCHES,
    (True, False): Operator.MATCHES_NOT,
}
"""By isRegex and isEqual."""
_FLAGS: Final = {operator: flags for flags, operator in _OPERATORS.items()}
_ORDER: Final = (State.ACTIVE, State.PENDING, State.EXPIRED)


class _Matcher(msgspec.Struct, rename={"is_regex": "isRegex", "is_equal": "isEqual"}):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Silence(
    msgspec.Struct, rename={"starts_at": "startsAt", "ends_at": "endsAt", "created_by": "createdBy"}, kw_only=True
):
    id: str | None = None
    matchers: list[_Matcher]
    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    ends_at: Annotated[datetime, msgspec.Meta(tz=True)]
    created_by: str
    comment: str
    confirm: bool = False
    """Vigie's own: although it mutes everything."""


_decoder: Final = msgspec.json.Decoder(_Silence)


def read(body: bytes, now_ms: int) -> tuple[str, Draft]:
    """The id of the silence that is changed, empty for a new one, and what it shall be. Raises Malformed."""
    try:
        said = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as e:
        raise Malformed(f"parsing silence body failed, because {shortened(str(e), 500)}") from None
    matchers = tuple(Matcher(one.name, _OPERATORS[one.is_regex, one.is_equal], one.value) for one in said.matchers)
    starts = round(said.starts_at.timestamp() * 1000)
    timing = Timing(starts if starts > 0 else now_ms, round(said.ends_at.timestamp() * 1000))
    draft = Draft(matchers, timing, said.comment, created_by=said.created_by, confirmed=said.confirm)
    return said.id or "", draft


def written(one: Stored[Silence], now_ms: int) -> Json:
    """One that recurs stands for its time that is now, else the next, else the last."""
    starts, ends, state = times(one.value.timing, now_ms)
    return {
        "id": one.name,
        "status": {"state": state.value},
        "updatedAt": iso(round(one.changed.timestamp() * 1000)),
        "annotations": {},
        "comment": one.value.comment,
        "createdBy": one.value.created_by,
        "endsAt": iso(ends),
        "matchers": [_matcher(matcher) for matcher in one.value.matchers],
        "startsAt": iso(starts),
    }


def times(timing: Timing, now_ms: int) -> tuple[int, int, State]:
    """Start, end and state."""
    now = phase(timing, now_ms)
    if not timing.rrule:
        return timing.starts, now_ms if timing.ends is None else timing.ends, now.state
    if now.state is State.ACTIVE:
        return now.since, now.since + timing.duration_ms if now.until is None else now.until, now.state
    if now.state is State.PENDING and now.until is not None:
        return now.until, now.until + timing.duration_ms, now.state
    return timing.starts, now_ms if timing.ends is None else timing.ends, now.state


def listed(
    silences: Iterable[Stored[Silence]], filters: Sequence[Matcher], states: frozenset[State], now_ms: int
) -> list[Json]:
    """Those that have every matcher of the filter, word by word: what is active by its end, what is pending by its
    start, then what expired, the last first."""
    found = [
        (one, *times(one.value.timing, now_ms)) for one in silences if all(m in one.value.matchers for m in filters)
    ]
    found = [entry for entry in found if entry[3] in states]
    found.sort(key=lambda entry: _place(*entry[1:]))
    return [written(one, now_ms) for one, *_ in found]


def _place(starts: int, ends: int, state: State) -> tuple[int, int]:
    by = {State.ACTIVE: ends, State.PENDING: starts, State.EXPIRED: -ends}
    return _ORDER.index(state), by[state]


def _matcher(matcher: Matcher) -> Json:
    is_regex, is_equal = _FLAGS[matcher.operator]
    return {"isEqual": is_equal, "isRegex": is_regex, "name": matcher.label, "value": matcher.value}
