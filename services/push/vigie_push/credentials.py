"""Credentials of live clients: where they stand in a request, and until when they hold."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from vigie_identity.authenticator import Headers, sent_credential
from vigie_identity.errors import BadCredential, RefusalReason, TwoCredentials

PARAMETER: Final = "token"
"""Of the address: `/ws?token=...`. Nothing of ours logs it; a proxy may."""
SUBPROTOCOL: Final = "bearer"
"""`new WebSocket(url, ["bearer", token])`: browsers can add no header."""
_MAX_PARAMETERS: Final = 100


def of_request(query: bytes, headers: Headers, subprotocols: Sequence[str] = ()) -> bytes | None:
    """The one credential of the request of a live client: a token or an API key. Raises TwoCredentials,
    BadCredential."""
    sent = sent_credential(headers)
    found = [] if sent is None else [sent]
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise BadCredential(RefusalReason.MALFORMED) from None
    found += [value.encode() for name, value in pairs if name == PARAMETER]
    if SUBPROTOCOL in subprotocols:
        found += [one.encode() for one in subprotocols if one != SUBPROTOCOL]
    if len(found) > 1:
        raise TwoCredentials
    if found and not found[0]:
        raise BadCredential(RefusalReason.SCHEME)
    return found[0] if found else None


class _Claims(msgspec.Struct):
    exp: float | None = None


_claims: Final = msgspec.json.Decoder(_Claims)


def expires_of(credential: bytes | None) -> float | None:
    """When a token says that it expires, in seconds since the epoch; None for what says nothing. Only to know when to
    look again: nothing here is verified."""
    parts = credential.split(b".") if credential else []
    if len(parts) != 3:
        return None
    try:
        return _claims.decode(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))).exp
    except (ValueError, msgspec.MsgspecError):
        return None
