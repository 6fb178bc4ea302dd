"""What matchers would have muted lately: told before anybody relies on them. The counting is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import Matcher
from vigie_query.times import DAY
from vigie_runtime.expressions import Expressions
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertStates

from vigie_alerting.notifying.item import labels_of
from vigie_alerting.routing.matchers import Matchers
from vigie_alerting.silences.active import Timing, windows
from vigie_alerting.silences.breadth import asks_for_nothing
from vigie_alerting.silences.index import pairs_of

LOOKS_BACK_MS: Final = 7 * DAY
MAX_TRANSITIONS: Final = 20_000
"""That one preview reads, the newest."""
MAX_LISTED: Final = 100
Sees: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Whether the caller sees an alert with these labels."""


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

    def everything(self, matchers: Sequence[Matcher]) -> str:
        """Why these matchers mute everything, as far as can be said; empty: they do not."""
        if asks_for_nothing(matchers):
            return "none of the matchers narrows anything down"
        if self.rules > 1 and len(self.muted) == self.alerts:
            return f"all {self.alerts:,} alerts of {self.rules:,} rules that fired in the last 7 days fit"
        return ""


class Previews:
    """Read the ledger, and what fires. All methods raise StoreUnavailable, ExpressionTooSlow, Busy."""

    def __init__(self, ledger: Ledger, states: AlertStates, patterns: Expressions) -> None:
        self._ledger, self._states, self._patterns = ledger, states, patterns

    async def of(
        self, tenant: TenantId, matchers: Sequence[Matcher], timing: Timing, now_ms: int, sees: Sees = lambda _: True
    ) -> Preview:
        """Of the last 7 days, as if it had been there all the time: what does not recur would have muted throughout,
        what recurs in the times of its rule."""
        since = datetime.fromtimestamp((now_ms - LOOKS_BACK_MS) / 1000, UTC)
        found = await self._ledger.since(tenant, since, MAX_TRANSITIONS)
        steps = [one.transition for one in found]
        complete = len(steps) < MAX_TRANSITIONS
        return await self._patterns.question("matchers", tenant).run(
            lambda check: counted(steps, matchers, timing, now_ms, sees=sees, complete=complete, check=check)
        )

    async def now(self, tenant: TenantId, matchers: Sequence[Matcher], sees: Sees = lambda _: True) -> int:
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


def counted(
    steps: Iterable[Transition],
    matchers: Sequence[Matcher],
    timing: Timing,
    now_ms: int,
    *,
    sees: Sees = lambda _: True,
    complete: bool = True,
    check: Callable[[], None] = _go_on,
) -> Preview:
    """Of these steps of alerts, oldest first. `check` is called after each; it may raise."""
    start, test = now_ms - LOOKS_BACK_MS, Matchers(tuple(matchers))
    spans = windows(timing, start, now_ms + 1)
    fired: set[str] = set()
    rules: set[str] = set()
    muted: dict[str, MutedAlert] = {}
    muted_rules: set[str] = set()
    firings = muted_firings = 0
    for step in steps:
        if step.to_state is not AlertState.FIRING or not start <= step.timestamp <= now_ms:
            continue
        check()
        labels = labels_of(step)
        if not sees(labels):
            continue
        firings += 1
        fired.add(step.fingerprint)
        rules.add(step.rule_id)
        if test.match(labels) and any(begin <= step.timestamp < end for begin, end in spans):
            muted_firings += 1
            muted_rules.add(step.rule_id)
            _note(muted, step, labels)
    newest = sorted(muted.values(), key=lambda one: -one.last_ms)
    return Preview(start, now_ms, complete, len(fired), len(rules), firings, newest, len(muted_rules), muted_firings)


def _note(muted: dict[str, MutedAlert], step: Transition, labels: Mapping[str, str]) -> None:
    known = muted.get(step.fingerprint)
    if known is None:
        muted[step.fingerprint] = MutedAlert(step.fingerprint, labels, step.timestamp, step.timestamp)
        return
    known.labels, known.last_ms, known.times = labels, step.timestamp, known.times + 1
