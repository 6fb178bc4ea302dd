"""What a Socket.IO client shows and asks for: from the words of the replaced service to channels. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.problems import ProblemKind
from vigie_identity.authenticator import Headers
from vigie_identity.errors import BadCredential, RefusalReason, TwoCredentials
from vigie_identity.tokens import MAX_TOKEN_CHARS
from vigie_runtime.errors import ProblemError

from vigie_push.credentials import of_request

KPI_CHANNELS: Final = ("business", "alerts")
_CHANNELS: Final = {"alert": "alerts", "metric": "metrics", "service": "services"}
"""Words that are not the channel's name."""
_KPI_TYPES: Final = ("kpi", "kpi_event")
_OWN_FIELDS: Final = ("type", "channel", "after", "tenant")


class BadRequest(ProblemError):  # noqa: N818 - named after what is wrong
    """The argument is no object that names a type."""

    kind = ProblemKind.INVALID

    def __init__(self, event: str) -> None:
        super().__init__(f"{event}: the argument must be an object, {{type: 'system'}}", field="type")


class NoScripts(ProblemError):  # noqa: N818 - named after what there is none of
    """JSONP: an answer as a script, which pages of all origins may load."""

    kind = ProblemKind.INVALID

    def __init__(self) -> None:
        super().__init__("j: answers are not given as scripts (JSONP); poll without it", field="j")


@dataclass(frozen=True, slots=True)
class Asked:
    """`channels` are all that are meant; `kpi`: their messages go as `kpi_event`."""

    channels: Sequence[str]
    fields: Mapping[str, Any]
    """The parameters of the channel, among others."""
    after: str | None = None
    tenant: str | None = None
    kpi: bool = False


def asked(event: str, argument: Any) -> Asked:
    """Of `subscribe` and `unsubscribe`. Raises BadRequest."""
    if isinstance(argument, str):
        argument = {"type": argument}
    if not isinstance(argument, Mapping):
        raise BadRequest(event)
    given: Mapping[str, Any] = argument
    name = given.get("type", given.get("channel"))
    fields = {key: value for key, value in given.items() if key not in _OWN_FIELDS}
    after, tenant = _text(given, "after"), _text(given, "tenant")
    if name is None or name in _KPI_TYPES:
        return Asked(KPI_CHANNELS, {}, after, tenant, kpi=True)
    if not isinstance(name, str):
        raise BadRequest(event)
    if name == "metrics" and not fields:
        name = "summary"
    return Asked((_CHANNELS.get(name, name),), fields, after, tenant)


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) else None


def shown(query: bytes, headers: Headers, auth: Any) -> bytes | None:
    """The credential: `io(url, {auth: {token}})`, else as any live client's. Raises BadCredential, TwoCredentials."""
    sent = of_request(query, headers)
    token = auth.get("token") if isinstance(auth, Mapping) else auth  # pyright: ignore[reportUnknownVariableType]
    if token is None:
        return sent
    if sent is not None:
        raise TwoCredentials
    if not isinstance(token, str) or not token.isascii() or len(token) > MAX_TOKEN_CHARS:
        raise BadCredential(RefusalReason.MALFORMED)
    return token.removeprefix("Bearer ").encode() or None
