"""A message with how its alerts stand now, and its buttons. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.message import Message, Status
from vigie_alerting.slack.blocks import Json, colour, plain, written
from vigie_alerting.slack.standing import Stand

_QUIET: Final = "#7a869a"
MAX_LINES: Final = 10
"""What Slack takes in one block of small print."""
_LINE_CHARS: Final = 300
_NO_STAND: Final = Stand()


class Press(StrEnum):
    """What a button does; its `action_id`."""

    ACKNOWLEDGE = "vigie.acknowledge"
    SILENCE = "vigie.silence"
    ESCALATE = "vigie.escalate"


_WORDS: Final = {Press.ACKNOWLEDGE: "Acknowledge", Press.SILENCE: "Silence 1 h", Press.ESCALATE: "Escalate"}


@dataclass(frozen=True, slots=True)
class Value:
    """What a button has: the message, and how many steps of chains had been told when it was shown. It names no alert
    and no tenant."""

    message: str
    told: int

    def __str__(self) -> str:
        return f"{self.message}.{self.told}"

    @classmethod
    def of(cls, words: str) -> Value | None:
        """None for what no button has."""
        id_, _, told = words.partition(".")
        if not (id_.isalnum() and id_.isascii() and len(id_) <= 64 and told.isascii() and told.isdecimal()):
            return None
        return cls(id_, int(told[:9])) if len(told) <= 9 else None


def rendered(message: Message, stands: Mapping[str, Stand], buttons_of: str = "") -> Json:
    """The body of a message. `buttons_of`: its id, where it has buttons."""
    firing = [stands.get(one.fingerprint, _NO_STAND) for one in message.alerts if one.status is Status.FIRING]
    word = _word(firing)
    heading, bar = text.title(message), colour(message)
    if word:
        heading, bar = heading.replace("[FIRING", f"[{word}", 1), _QUIET
    more: list[Json] = []
    if lines := list(_lines(firing))[:MAX_LINES]:
        more.append({"type": "context", "elements": [plain(line, _LINE_CHARS) for line in lines]})
    if buttons_of and firing:
        told = sum(one.told for one in firing)
        more.append({"type": "actions", "elements": [_button(press, Value(buttons_of, told)) for press in _of(firing)]})
    return written(message, heading, bar, [block for block in more if block["elements"]])


def _word(firing: list[Stand]) -> str:
    """In the place of FIRING, when all that fires is so."""
    if firing and all(one.acknowledgement for one in firing):
        return "ACKNOWLEDGED"
    if firing and all(one.mute or one.acknowledgement for one in firing):
        return "SILENCED"
    return ""


def _lines(firing: list[Stand]) -> Iterator[str]:
    """What holds for all is said once, and of the rest for how many it does."""
    counted = Counter(line for one in firing for line in _of_one(one))
    for line, number in counted.items():
        yield line if number == len(firing) else f"{number} of {len(firing)}: {line}"


def _of_one(stand: Stand) -> Iterator[str]:
    if has := stand.acknowledgement:
        until = "" if has.until is None else f", until {_moment(has.until)}"
        note = f": {text.line(has.note)}" if has.note else ""
        yield text.line(f"Acknowledged by {has.by} at {_moment(has.at)}{until}{note}")
    if stand.mute:
        words = text.line(stand.mute.detail)
        yield words[:1].upper() + words[1:]
    for one in stand.chains:
        if one.told:
            last = f", the last at {_moment(one.last_ms)}" if one.last_ms else ""
            steps = "1 step" if one.told == 1 else f"{one.told} steps"
            yield text.line(f"Escalated: {steps} of the chain {one.chain!r}{last}")


def _of(firing: list[Stand]) -> Iterator[Press]:
    """The buttons that do something now."""
    if not all(one.acknowledgement for one in firing):
        yield Press.ACKNOWLEDGE
    if not all(one.mute for one in firing):
        yield Press.SILENCE
    if any(chain.waits for one in firing for chain in one.chains):
        yield Press.ESCALATE


def _button(press: Press, value: Value) -> Json:
    made: Json = {
        "type": "button", "action_id": press.value, "value": str(value), "text": plain(_WORDS[press], 75)
    }  # fmt: skip
    return {**made, "style": "primary"} if press is Press.ACKNOWLEDGE else made


def _moment(ms: int) -> str:
    return text.moment(datetime.fromtimestamp(ms / 1000, UTC))
