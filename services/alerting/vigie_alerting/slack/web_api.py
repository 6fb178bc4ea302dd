"""Slack's Web API, as far as alerts need it. What it refuses is told by its own names of errors, by this table:

| `error` | verdict |
| --- | --- |
| `ratelimited`, `internal_error`, `service_unavailable`, ... | temporary; `Retry-After` is honoured |
| `invalid_auth`, `token_revoked`, `missing_scope`, ... | permanent: the token is not good for that |
| `message_not_found`, `cant_update_message`, ... (of an edit) | `Gone`: it is posted anew |
| all others: `channel_not_found`, `not_in_channel`, `invalid_blocks`, ... | permanent |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.http import Http, Reading
from vigie_alerting.slack.blocks import escaped
from vigie_alerting.slack.secrets import API, TOKEN

HOME: Final = "https://slack.com/api"
_READING: Final = Reading(1 << 20, 5.0)
"""Slack repeats the message in its answer."""
_JSON: Final = "application/json; charset=utf-8"
_FORM: Final = "application/x-www-form-urlencoded"
_PASSING: Final = frozenset(
    {
        "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error",
        "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited",
    }
)  # fmt: skip
_UNAUTHORISED: Final = frozenset(
    {
        "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "no_permission",
        "missing_scope", "not_allowed_token_type", "org_login_required", "access_denied", "ekm_access_denied",
        "team_access_not_granted",
    }
)  # fmt: skip
_GONE: Final = frozenset(
    {
        "message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_inactive",
        "not_in_channel", "is_archived", "update_failed",
    }
)  # fmt: skip
_KNOWN: Final[Mapping[str, str]] = {
    "channel_not_found": "there is no such channel, or the app does not see it: invite it there",
    "not_in_channel": "the app is not in the channel: invite it there",
    "is_archived": "the channel is archived",
    "invalid_auth": "the token is not valid",
    "not_authed": "the token is not valid",
    "account_inactive": "the token is of an app or workspace that is not active any more",
    "token_revoked": "the token was revoked: install the app again",
    "token_expired": "the token has expired: install the app again",
    "missing_scope": "the app lacks a scope: give it chat:write, and for people users:read and users:read.email",
    "restricted_action": "the workspace does not let the app post there",
    "msg_too_long": "the message is too long",
    "invalid_blocks": "the message has a shape that Slack does not take",
    "invalid_blocks_format": "the message has a shape that Slack does not take",
    "message_not_found": "the message was deleted",
    "cant_update_message": "the message cannot be edited",
    "edit_window_closed": "the message cannot be edited any more",
}


class Gone(Permanent):
    """A message that cannot be edited any more: another one can be posted in its place."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is: Slack's id of the channel, and of the message in it."""

    place: str
    ts: str


class _Answer(msgspec.Struct):
    ok: bool
    error: str = ""
    channel: Any = None
    ts: str = ""
    user: dict[str, Any] = {}


_decoder: Final = msgspec.json.Decoder(_Answer)


class WebApi:
    """Calls with the token of a channel. All methods raise Temporary and Permanent."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def post(self, channel: Channel, body: Mapping[str, Any]) -> Posted:
        """A message to the channel's destination."""
        answer = await self._json(channel, "chat.postMessage", {"channel": channel.destination, **body})
        if not isinstance(answer.channel, str) or not re.fullmatch(r"[A-Z0-9]{1,64}", answer.channel):
            raise _unreadable()
        if not re.fullmatch(r"[0-9.]{1,64}", answer.ts):
            raise _unreadable()
        return Posted(answer.channel, answer.ts)

    async def update(self, channel: Channel, there: Posted, body: Mapping[str, Any]) -> None:
        """Another message in the place of one. Raises Gone when that cannot be edited."""
        await self._json(channel, "chat.update", {"channel": there.place, "ts": there.ts, **body})

    async def reply(self, channel: Channel, there: Posted, words: str) -> None:
        """Below a message, and seen in the channel too."""
        body = {
            "channel": there.place,
            "thread_ts": there.ts,
            "reply_broadcast": True,
            "text": escaped(words),
            "mrkdwn": False,
        }
        await self._json(channel, "chat.postMessage", body)

    async def email(self, channel: Channel, user: str) -> str:
        """Of one of Slack's users; empty where it has none or the app may not see it."""
        answer = await self._call(channel, "users.info", _FORM, urlencode({"user": user}).encode())
        profile = answer.user.get("profile")
        found = profile.get("email") if isinstance(profile, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return found if isinstance(found, str) and len(found) <= 254 else ""

    async def _json(self, channel: Channel, method: str, body: Mapping[str, Any]) -> _Answer:
        return await self._call(channel, method, _JSON, msgspec.json.encode(body))

    async def _call(self, channel: Channel, method: str, media: str, body: bytes) -> _Answer:
        base = channel.secrets.get(API, HOME).rstrip("/")
        headers = {"Content-Type": media, "Authorization": f"Bearer {channel.secrets[TOKEN]}"}
        answer = await self._http.post(f"{base}/{method}", headers, body, reading=_READING)
        try:
            read = _decoder.decode(answer.text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise _unreadable() from None
        if not read.ok:
            raise refusal(read.error, method, self._http.retry_after_s(answer))
        return read


def refusal(error: str, method: str, retry_after_s: float | None = None) -> Temporary | Permanent:
    """What `"ok": false` with this error means. What Slack says is repeated only where it is a word of its own."""
    known = _KNOWN.get(error) or (error.replace("_", " ") if error in _PASSING | _UNAUTHORISED | _GONE else "")
    said = f"Slack refuses it: {known}" if known else "Slack refuses it, with an error that Vigie does not know"
    if error in _PASSING:
        limited = error in ("ratelimited", "rate_limited", "message_limit_exceeded")
        failure = Failure.RATE_LIMITED if limited else Failure.SERVER_ERROR
        return Temporary(failure, said, retry_after_s=retry_after_s)
    if error in _UNAUTHORISED:
        return Permanent(Failure.UNAUTHORISED, said)
    if method == "chat.update" and error in _GONE:
        return Gone(Failure.REJECTED, said)
    return Permanent(Failure.REJECTED, said)


def _unreadable() -> Temporary:
    return Temporary(Failure.SERVER_ERROR, "what answers at the address of Slack's API does not answer as Slack does")
