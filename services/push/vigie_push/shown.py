"""Where a client of Socket.IO or of a stream shows its credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from vigie_identity.authenticator import Headers
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.tokens import MAX_TOKEN_CHARS


def credential_of(query: bytes, headers: Headers, auth: Any = None) -> bytes | None:
    """`io(url, {auth: {token}})`, else `?token=`, else Authorization or X-API-Key. Raises BadCredential."""
    token = auth.get("token") if isinstance(auth, Mapping) else auth  # pyright: ignore[reportUnknownVariableType]
    if token is None:
        token = parse_qs(query.decode("latin-1")).get("token", [None])[0]
    if token is None:
        token = _in_headers(headers)
    if token is None:
        return None
    if not isinstance(token, str) or not token.isascii() or len(token) > MAX_TOKEN_CHARS:
        raise BadCredential(RefusalReason.MALFORMED)
    return token.removeprefix("Bearer ").strip().encode() or None


def _in_headers(headers: Headers) -> str | None:
    for name, value in headers:
        if name in (b"authorization", b"x-api-key"):
            return value.decode("latin-1")
    return None
