"""What matchers would have muted lately: told before anybody relies on them. The counting is pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import Matcher
from vigie_query.times import DAY
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, StoreUnavailable, reason_of
from vigie_runtime.expressions import Expressions, ExpressionTooSlow
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertStates
from vigie_storage.mongo import TooSlow

from vigie_alerting.notifying.item import labels_of
from vigie_alerting.routing.matchers import Matchers
from vigie_alerting.silences.active import Timing, windows
from vigie_alerting.silences.breadth import asks_for_nothing
from vigie_alerting.silences.index import pairs_of

log = logging.get(__name__)
LOOKS_BACK_MS: Final = 7 * DAY
MAX_TRANSITIONS: Final = 20_000
"""That one preview reads, the newest."""
MAX_LISTED: Final = 100
KEPT_S: Final = 5.0
_TENANTS: Final = 4
"""Whose past is kept."""
Sees: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Whether the caller sees an alert with these labels."""


def all_seen(_: Mapping[str, str]) -> bool:
    """The caller sees every alert."""
    return True


@dataclass(slots=True)
class MutedAlert:
    """One that fired in that time, and nobody would have been told."""

    fingerprint: str
    labels: Mapping[str, str]
    """Those that matchers see."""
    first_ms: int
    last_ms: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Preview:
    """Counts are of alerts, and of how often they began to fire or changed while they did."""

    from_ms: int
    to_ms: int
    complete: bool
    """False: more happened than is looked at, and this is about the newest of it."""
    alerts: int
    """That fired at all."""
    rules: int
    firings: int
    muted: Sequence[MutedAlert] = field(default=())
    """The last ones first."""
    muted_rules: int = 0
    muted_firings: int = 0
    known: bool = True
    """False: the past could not be looked at, and nothing is counted."""

    def everything(self, matchers: Sequence[Matcher]) -> str:
        """Why these matchers mute everything, as far as can be said; empty: they do not."""
        if asks_for_nothing(matchers):
            return "none of the matchers narrows anything down"
        if self.rules > 1 and len(self.muted) == self.alerts:
            return f"all {self.alerts:,} alerts of {self.rules:,} rules that fired in the last 7 days fit"
        return ""


@dataclass(frozen=True, slots=True)
class Fired:
    """That an alert began to fire, or changed while it did."""

    at_ms: int
    fingerprint: str
    rule: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Past:
    read_at: float
    """On the monotonic clock."""
    fired: Sequence[Fired]
    complete: bool


class Previews:
    """Read the ledger, and what fires. All methods but `tried` raise StoreUnavailable, TooSlow, ExpressionTooSlow,
    Busy."""

    def __init__(self, ledger: Ledger, states: AlertStates, patterns: Expressions, clock: Clock) -> None:
        self._ledger, self._states, self._patterns, self._clock = ledger, states, patterns, clock
        self._known: OrderedDict[TenantId, _Past] = OrderedDict()

    async def of(
        self, tenant: TenantId, matchers: Sequence[Matcher], timing: Timing, now_ms: int, sees: Sees = all_seen
    ) -> Preview:
        """Of the last 7 days, as if it had been there all the time: what does not recur would have muted throughout,
        what recurs in the times of its rule. What was read is used for KEPT_S: a file of silences comes one by one."""
        past = await self._past(tenant, now_ms)
        return await self._patterns.question("matchers", tenant).run(
            lambda check: counted(past.fired, matchers, timing, now_ms, sees=sees, complete=past.complete, check=check)
        )

    async def tried(
        self, tenant: TenantId, matchers: Sequence[Matcher], timing: Timing, now_ms: int, sees: Sees = all_seen
    ) -> Preview:
        """The same where it can be had: who mutes in a storm is not kept from it because the past cannot be read."""
        try:
            return await self.of(tenant, matchers, timing, now_ms, sees)
        except (StoreUnavailable, TooSlow, ExpressionTooSlow, Busy) as e:
            log.warning("the past cannot be looked at for what mutes", tenant=tenant, reason=reason_of(e))
            return Preview(now_ms - LOOKS_BACK_MS, now_ms, False, 0, 0, 0, known=False)

    async def _past(self, tenant: TenantId, now_ms: int) -> _Past:
        now = self._clock.monotonic()
        known = self._known.get(tenant)
        if known is None or now - known.read_at >= KEPT_S:
            since = datetime.fromtimestamp((now_ms - LOOKS_BACK_MS) / 1000, UTC)
            found = await self._ledger.since(tenant, since, MAX_TRANSITIONS)
            made = fired(one.transition for one in found)
            known = self._known[tenant] = _Past(now, made, len(found) < MAX_TRANSITIONS)
            if len(self._known) > _TENANTS:
                self._known.popitem(last=False)
        return known

    async def now(self, tenant: TenantId, matchers: Sequence[Matcher], sees: Sees = all_seen) -> int:
        """How many alerts fire now that fit."""
        pairs = min((found for found in map(pairs_of, matchers) if found), key=len, default=None)
        firing = await self._states.firing(tenant, pairs)
        test = Matchers(tuple(matchers))

        def count(check: Callable[[], None]) -> int:
            found = 0
            for _, labels in firing:
                check()
                found += test.match(labels) and sees(labels)
            return found

        return await self._patterns.question("matchers", tenant).run(count)


def _go_on() -> None:
    """Nothing limits the time."""


def fired(steps: Iterable[Transition]) -> list[Fired]:
    """The steps that tell of an alert that fires, in their order; those of one alert share their labels."""
    shared: dict[str, Mapping[str, str]] = {}
    found: list[Fired] = []
    for step in steps:
        if step.to_state is not AlertState.FIRING:
            continue
        labels = labels_of(step)
        if shared.get(step.fingerprint) != labels:
            shared[step.fingerprint] = labels
        found.append(Fired(step.timestamp, step.fingerprint, step.rule_id, shared[step.fingerprint]))
    return found


def counted(
    past: Iterable[Fired],
    matchers: Sequence[Matcher],
    timing: Timing,
    now_ms: int,
    *,
    sees: Sees = all_seen,
    complete: bool = True,
    check: Callable[[], None] = _go_on,
) -> Preview:
    """Of these, oldest first. `check` is called after each expression that was tried; it may raise."""
    start, test = now_ms - LOOKS_BACK_MS, Matchers(tuple(matchers))
    spans = windows(timing, start, now_ms + 1)
    judged: dict[int, tuple[bool, bool]] = {}
    """By the identity of labels: whether they are seen, and fit."""
    alerts: set[str] = set()
    rules: set[str] = set()
    muted: dict[str, MutedAlert] = {}
    muted_rules: set[str] = set()
    firings = muted_firings = 0
    for one in past:
        if id(one.labels) not in judged:
            judged[id(one.labels)] = sees(one.labels), test.match(one.labels)
            check()
        seen, fits = judged[id(one.labels)]
        if not seen or not start <= one.at_ms <= now_ms:
            continue
        firings += 1
        alerts.add(one.fingerprint)
        rules.add(one.rule)
        if fits and any(begin <= one.at_ms < end for begin, end in spans):
            muted_firings += 1
            muted_rules.add(one.rule)
            _note(muted, one)
    newest = sorted(muted.values(), key=lambda one: -one.last_ms)
    return Preview(start, now_ms, complete, len(alerts), len(rules), firings, newest, len(muted_rules), muted_firings)


def _note(muted: dict[str, MutedAlert], one: Fired) -> None:
    known = muted.get(one.fingerprint)
    if known is None:
        muted[one.fingerprint] = MutedAlert(one.fingerprint, one.labels, one.at_ms, one.at_ms)
        return
    known.labels, known.last_ms, known.times = one.labels, one.at_ms, known.times + 1
