"""What an app says of itself, judged: the report and the samples that are made of it. Pure.

Lenient where the clients of years differ: what is missing, numbers as text, times in any unit, types that nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, cast
from uuid import uuid4

import msgspec
from vigie_contracts import apps, limits, names
from vigie_contracts.json_bounds import Crossed, crossed
from vigie_contracts.series import Kind

from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.keys import digest
from vigie_publishing.metric import UNREADABLE, Sample
from vigie_publishing.publishers import KeyedReport

_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?\s*")
_BOUNDS: Final = {
    Crossed.DEPTH: f"is nested more than {apps.MAX_DEPTH} levels deep",
    Crossed.KEYS: f"has more than {apps.MAX_KEYS} keys, all levels together",
    Crossed.NUL: "has a key that holds a NUL character",
    Crossed.INTEGER: "holds an integer that does not fit 64 bits",
}
_TIMES: Final = "must be an ISO 8601 time, or seconds or milliseconds since 1970"
_PER_MS: Final = ((1, 1), (1_000, 1), (1, 1_000), (1, 1_000_000))
"""Factor and divisor of milliseconds, seconds, microseconds and nanoseconds."""


@dataclass(frozen=True, slots=True)
class AppMetrics:
    """What an app says at one time, judged."""

    app: str
    at_ms: int
    timed: bool
    """Whether it says the time itself."""
    body: dict[str, Any]
    samples: list[Sample]

    def report(self, tenant: str, key: bytes) -> KeyedReport:
        """Ready to publish; `key` of `key_of`, or that of a request."""
        return KeyedReport(
            tenant=tenant,
            at_ms=self.at_ms,
            key=key,
            samples=self.samples,
            kind=apps.KIND,
            subject=self.app,
            body=self.body,
        )


def key_of(tenant: str, said: AppMetrics, id_: str | None, raw: bytes) -> bytes:
    """The 16 bytes that name what was said, also when the same bytes come again with the same id. Without an id, and
    without a time in it, nothing is a repeat: it may be said twice and meant twice."""
    if id_ is None and not said.timed:
        return uuid4().bytes
    return digest(b"vigie-app-v1", tenant.encode(), said.app.encode(), (id_ or "").encode("utf-8", "replace"), raw)


def decode(raw: bytes) -> object:
    """JSON of any shape, or an ItemError."""
    if len(raw) > apps.MAX_MESSAGE_BYTES:
        return ItemError(Reason.VALUE, "data", f"is longer than {apps.MAX_MESSAGE_BYTES} bytes")
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return ItemError(Reason.MALFORMED, "data", "is not valid JSON, or is nested too deeply")


def judge(said: object, app: str | None, now_ms: int, max_age_ms: int = limits.MAX_AGE_MS) -> AppMetrics | ItemError:
    """What decoded JSON says; `app` is whose it is, when something else tells. Never raises."""
    if not isinstance(said, dict):
        return ItemError(Reason.FIELD, "data", "must be an object with the metrics of an app")
    body = dict(cast("dict[str, Any]", said))
    named, user = _app(body.get(apps.APP), app), _user(body.get(apps.USER))
    if isinstance(named, ItemError):
        return named
    if isinstance(user, ItemError):
        return user
    given = body.get(apps.METRICS)
    if given is None:
        return ItemError(Reason.FIELD, apps.METRICS, "is missing")
    if not isinstance(given, dict):
        return ItemError(Reason.FIELD, apps.METRICS, "must be an object")
    metrics = cast("dict[str, Any]", given)
    if (over := crossed(metrics, max_depth=apps.MAX_DEPTH, max_keys=apps.MAX_KEYS)) is not None:
        return ItemError(Reason.VALUE, apps.METRICS, _BOUNDS[over])
    beside = {name: value for name, value in body.items() if name != apps.METRICS}  # is kept too
    if (over := crossed(beside, max_depth=apps.MAX_DEPTH, max_keys=apps.MAX_KEYS)) is not None:
        return ItemError(Reason.VALUE, "data", _BOUNDS[over])
    at_ms = _instant(body.get(apps.TIMESTAMP), now_ms, max_age_ms)
    if isinstance(at_ms, ItemError):
        return at_ms
    samples = _samples(named, metrics)
    if isinstance(samples, ItemError):
        return samples
    body |= {apps.APP: named} if user is None else {apps.APP: named, apps.USER: user}
    return AppMetrics(named, at_ms, body.get(apps.TIMESTAMP) not in (None, ""), body, samples)


def _app(said: object, known: str | None) -> str | ItemError:
    text = str(said) if isinstance(said, int) and not isinstance(said, bool) and abs(said) < 1 << 63 else said
    if text is None or text == "":
        text = known
    if text is None:
        return ItemError(Reason.FIELD, apps.APP, "is missing")
    if not isinstance(text, str) or not apps.APP_ID.match(text):
        return ItemError(Reason.FIELD, apps.APP, apps.APP_ID_RULE)
    if known is not None and text != known:
        return ItemError(Reason.FIELD, apps.APP, "is another app than the one of the path")
    return text


def _user(said: object) -> str | ItemError | None:
    """None when nothing is said."""
    if said is None or said == "":
        return None
    text = str(said) if isinstance(said, int) and not isinstance(said, bool) and abs(said) < 1 << 63 else said
    if not isinstance(text, str) or len(text) > apps.MAX_USER_CHARS or not text.isprintable():
        return ItemError(Reason.FIELD, apps.USER, f"must be text of at most {apps.MAX_USER_CHARS} printable characters")
    return text


def _instant(said: object, now_ms: int, max_age_ms: int) -> int | ItemError:
    """Milliseconds, of whatever unit fits; without a time, now."""
    if said is None or said == "":
        return now_ms
    value = number(said)
    if value is None:
        found = _iso(said)
        if isinstance(found, ItemError):
            return found
        return timestamps.check(found, now_ms, max_age_ms=max_age_ms) or found
    oldest, newest = timestamps.bounds(now_ms, max_age_ms)
    fitting = (value * factor / divisor for factor, divisor in _PER_MS)
    at_ms = int(next((ms for ms in fitting if oldest <= ms <= newest), value))
    return timestamps.check(timestamps.to_ms(at_ms, now_ms), now_ms, max_age_ms=max_age_ms) or at_ms


def _iso(said: object) -> int | ItemError:
    try:
        when = datetime.fromisoformat(said.strip()) if isinstance(said, str) and len(said) <= 64 else None
        if when is not None:
            # Without an offset: as the clocks of servers are.
            return timestamps.to_ms(when if when.tzinfo is not None else when.replace(tzinfo=UTC), 0)
    except (ValueError, OverflowError):
        pass
    return ItemError(Reason.TIMESTAMP, apps.TIMESTAMP, _TIMES)


def number(said: object) -> float | None:
    """A finite number, also one that was written as text; None for everything else."""
    if isinstance(said, bool):
        return None
    if isinstance(said, str):
        if not _NUMBER.fullmatch(said):
            return None
    elif not isinstance(said, int | float):
        return None
    try:
        value = float(said)
    except (OverflowError, ValueError):
        return None
    return value if isfinite(value) else None


def _samples(app: str, metrics: Mapping[str, Any]) -> list[Sample] | ItemError:
    """Gauges: of the known numbers, and of the first other ones."""
    known: dict[str, Sample] = {}
    others: dict[str, Sample] = {}
    for path, said in _leaves(metrics):
        value, name = number(said), apps.NUMBERS.get(path)
        if value is None:
            if name is not None and said is not None:
                return ItemError(Reason.VALUE, f"{apps.METRICS}.{path}", "must be a finite number")
        elif name is not None:
            known[path] = Sample(name, Kind.GAUGE, ((apps.APP_LABEL, app),), value)
        elif len(others) < apps.MAX_OTHERS and 1 <= len(path) <= apps.MAX_KEY_CHARS:
            labels = ((apps.APP_LABEL, app), (apps.KEY_LABEL, path))
            others[path] = Sample(names.APP_METRIC, Kind.GAUGE, labels, value)
    return [*known.values(), *others.values()]


def _leaves(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What is in the objects, by its path; lists are looked at no further. Its depth was judged before."""
    for key, value in given.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in apps.NUMBERS:
            yield from _leaves(cast("dict[str, Any]", value), f"{path}.")
        else:
            yield path, value
