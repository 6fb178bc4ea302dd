"""What Slack sends when somebody presses a button. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec
from vigie_web.errors import Malformed

from vigie_alerting.slack.rendering import Press, Value

MAX_BYTES: Final = 1 << 20
"""Of a request: it repeats the message, as a form."""
_PRESSED: Final = "block_actions"
_Short = Annotated[str, msgspec.Meta(max_length=256)]


class _User(msgspec.Struct, frozen=True):
    id: _Short = ""
    username: _Short = ""
    name: _Short = ""
    team_id: _Short = ""


class _Action(msgspec.Struct):
    action_id: _Short = ""
    value: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class _Payload(msgspec.Struct):
    type: _Short
    user: _User = _User()
    actions: list[_Action] = []
    response_url: Annotated[str, msgspec.Meta(max_length=2_048)] = ""


_decoder: Final = msgspec.json.Decoder(_Payload)


@dataclass(frozen=True, slots=True)
class Presser:
    """Who presses, as Slack says."""

    id: str
    name: str
    team: str


@dataclass(frozen=True, slots=True)
class Pressed:
    """One button, pressed."""

    press: Press
    value: Value
    by: Presser
    response_url: str
    """Where the presser is answered."""


def read(body: bytes) -> Pressed:
    """Of a form with a `payload`. Raises Malformed."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=10))
        payload = _decoder.decode(fields.get("payload", ""))
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise Malformed("the body is a form with a payload in JSON, as Slack sends it for interactions") from None
    action = payload.actions[0] if payload.type == _PRESSED and len(payload.actions) == 1 else _Action()
    value = Value.of(action.value)
    if value is None or action.action_id not in set(Press):
        raise Malformed("only presses of the buttons of Vigie's messages are taken here")
    user = payload.user
    by = Presser(user.id, user.username or user.name, user.team_id)
    return Pressed(Press(action.action_id), value, by, payload.response_url)
