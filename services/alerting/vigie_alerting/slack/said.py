"""What a message says, and what of a notification is news there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_storage.alerts.document import Together, order

from vigie_alerting.notifiers import text
from vigie_alerting.outbox import listed

MAX_TOLD: Final = 20
"""Notifications of which it is known that a message says them: only the last one can come again."""
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}
_NEWS_CHARS: Final = 300
_MAX_NEWS: Final = 5


class Said(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """As it is stored with the message."""

    steps: tuple[Transition, ...]
    """The newest of each alert that was told, what fires first, worst first."""
    more: int = 0
    """Alerts that are counted and not listed."""
    together: Together | None = None
    shown: str = ""
    """A digest of what was sent last: the same is not sent again."""

    @property
    def open(self) -> bool:
        """Whether any of its alerts goes on."""
        return any(fires(step) for step in self.steps)

    @property
    def firing(self) -> tuple[Transition, ...]:
        """Those that go on."""
        return tuple(step for step in self.steps if fires(step))

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of all its alerts."""
        return tuple(step.fingerprint for step in self.steps)


_decoder: Final = msgspec.json.Decoder(Said)


def decoded(data: bytes) -> Said:
    """As it was stored."""
    return _decoder.decode(data)


def fires(step: Transition) -> bool:
    """Whether the alert goes on after this step."""
    return step.to_state is not AlertState.RESOLVED


def begun(steps: Sequence[Transition], together: Together | None) -> Said:
    """A message that is not there yet."""
    return merged(Said(steps=()), steps, together)[0]


def merged(said: Said, steps: Sequence[Transition], together: Together | None) -> tuple[Said, tuple[str, ...]]:
    """The message with these steps, and what of it nobody would notice in an edit: one line for each. An older step
    than the one that is known changes nothing."""
    known = {step.fingerprint: step for step in said.steps}
    news: list[str] = []
    for step in steps:
        before = known.get(step.fingerprint)
        if before is not None and order(step) < order(before):
            continue
        known[step.fingerprint] = step
        if line := _news(before, step):
            news.append(text.line(line, _NEWS_CHARS))
    ordered = sorted(known.values(), key=lambda step: (not fires(step), -_RANK[step.severity], order(step)))
    shown, more = listed(ordered) if ordered else ((), 0)
    counted = max(said.more, together.more if together else 0, more)
    if len(news) > _MAX_NEWS:
        news = [*news[: _MAX_NEWS - 1], f"and {len(news) - _MAX_NEWS + 1} more"]
    after = Said(steps=shown, more=counted, together=together or said.together, shown=said.shown)
    return after, tuple(dict.fromkeys(news))


def _news(before: Transition | None, step: Transition) -> str:
    if not fires(step):
        return ""  # a message that turns green says so
    name = step.rule_name or step.rule_id
    if before is None:
        return f"{name} fires too, {step.severity.value}"
    if why := step.annotations.get(text.ESCALATION):
        return f"{name}: {why}" if why != before.annotations.get(text.ESCALATION) else ""
    if not fires(before) or step.episode != before.episode:
        return f"{name} fires again, {step.severity.value}"
    if _RANK[step.severity] > _RANK[before.severity]:
        return f"{name}: severity raised from {before.severity.value} to {step.severity.value}"
    if before.id == step.id:
        return f"{name} still fires, and nobody has acknowledged it"
    return ""
