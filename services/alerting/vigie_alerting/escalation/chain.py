"""A chain of people to tell, one step after the other, until somebody acknowledges; and where an alert stands in it.

An escalation waits for its next step, until the last one was told. While somebody has the alert it is paused; when the
alert is over, so is it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace


class Kind(StrEnum):
    """What a step may tell."""

    SCHEDULE = "schedule"
    """Whoever is on call there at that moment."""
    PERSON = "person"
    CHANNEL = "channel"


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """By its name."""

    kind: Kind
    name: str


class Step(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Told when nobody acknowledged for `after_ms` since the step before; the first: since it fires."""

    notify: tuple[Target, ...]
    after_ms: int = 0


class Chain(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """All steps once, and `repeat` times again, each time `repeat_after_ms` after the last step."""

    steps: tuple[Step, ...]
    repeat: int = 0
    repeat_after_ms: int = 300_000
    description: str = ""

    def named(self, kind: Kind) -> set[str]:
        """Which of this kind it tells."""
        return {target.name for step in self.steps for target in step.notify if target.kind is kind}


class State(StrEnum):
    WAITING = "waiting"
    """For `due`, when the step is told."""
    PAUSED = "paused"
    """Somebody has the alert."""
    EXHAUSTED = "exhausted"
    """All were told, as often as the chain says, or there is no chain any more."""
    ENDED = "ended"
    """The alert is over."""


class Escalation(msgspec.Struct, frozen=True):
    """Where one alert stands in one chain. `step` and `round`, from 0, are those that come next; `due` is Unix
    milliseconds, and None in all states but WAITING."""

    state: State
    step: int
    round: int
    due: int | None
    told: int = 0
    """How many steps were told: what tells one telling from every other one of this escalation."""
    reached: bool = False
    """Whether anybody was reached in this round."""


def begun(chain: Chain, at_ms: int) -> Escalation:
    """Of an alert that begins to fire."""
    return Escalation(State.WAITING, 0, 0, at_ms + chain.steps[0].after_ms)


def step_of(chain: Chain, escalation: Escalation) -> Step | None:
    """What is to be told next; None when the chain has become too short for it."""
    return chain.steps[escalation.step] if escalation.step < len(chain.steps) else None


def advanced(chain: Chain, escalation: Escalation, at_ms: int, *, reached: bool) -> Escalation:
    """After its step was told. Nobody waits for an answer of a step that reached nobody: the next one follows at once,
    but for the next round."""
    next_step, any_reached = escalation.step + 1, escalation.reached or reached
    told = replace(escalation, told=escalation.told + 1, reached=any_reached)
    if next_step < len(chain.steps):
        wait = chain.steps[next_step].after_ms if reached else 0
        return replace(told, step=next_step, due=at_ms + wait)
    if escalation.round >= chain.repeat:
        return replace(told, state=State.EXHAUSTED, step=next_step, due=None)
    return replace(told, step=0, round=escalation.round + 1, due=at_ms + chain.repeat_after_ms, reached=False)


def nobody(chain: Chain, escalation: Escalation, *, reached: bool) -> bool:
    """Whether the step that is told now ends a round in which nobody at all is reached: somebody else must be told."""
    return not (reached or escalation.reached) and escalation.step + 1 >= len(chain.steps)


def postponed(escalation: Escalation, until_ms: int) -> Escalation:
    """The same step, later."""
    return replace(escalation, due=until_ms)


def hastened(escalation: Escalation, at_ms: int) -> Escalation:
    """Its next step is told now, and not when it would have been. Only what waits can be."""
    if escalation.due is None:
        return escalation
    return replace(escalation, due=min(escalation.due, at_ms))


def acknowledged(escalation: Escalation) -> Escalation:
    """Somebody has the alert."""
    if escalation.state is State.ENDED:
        return escalation
    return replace(escalation, state=State.PAUSED, due=None)


def resumed(chain: Chain, escalation: Escalation, at_ms: int) -> Escalation:
    """Nobody has the alert any more: it goes on where it was paused, with all of that step's time; when all had been
    told, from the beginning."""
    if escalation.state is not State.PAUSED:
        return escalation
    if (step := step_of(chain, escalation)) is None:
        return replace(begun(chain, at_ms), told=escalation.told)
    return replace(escalation, state=State.WAITING, due=at_ms + step.after_ms)


def abandoned(escalation: Escalation) -> Escalation:
    """Its chain is gone: nobody else is told until the alert is over."""
    return replace(escalation, state=State.EXHAUSTED, due=None)


def ended(escalation: Escalation) -> Escalation:
    """The alert is over."""
    return replace(escalation, state=State.ENDED, due=None)
