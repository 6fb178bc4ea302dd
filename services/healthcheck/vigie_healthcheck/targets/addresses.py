"""The URL of a target: which kind asks for it, in the form in which it is called, and without its credentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from vigie_contracts.problems import shortened

from vigie_healthcheck.probes.registry import SCHEMES

MAX_URL_CHARS: Final = 2_048
_SAFE: Final = "%/:?#[]@!$&'()*+,;=~-._"
_ANY_SCHEME: Final = frozenset({"tcp", "tls", "icmp"})
"""Kinds that look at nothing but host and port."""
_SECRET_NAMES: Final = ("token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "signature", "auth")


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    """Without credentials, in ASCII."""
    kind: str
    """Empty: no kind asks for URLs of this scheme."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    shows: str = ""
    """The name of a parameter that looks as if it were secret."""


def read(text: str, kind: str = "") -> Address:
    """`kind`: the one that is asked for; empty: the scheme says. Raises ValueError with a sentence that does not repeat
    the URL, which may have a password."""
    if len(text) > MAX_URL_CHARS:
        raise ValueError(f"is longer than {MAX_URL_CHARS:,} characters")
    if not text.isprintable() or any(character.isspace() for character in text):
        raise ValueError("must be without spaces and control characters")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is no URL: the address in brackets is no IPv6 one") from None
    asks = SCHEMES.get(parts.scheme)
    if not parts.netloc:
        raise ValueError("must be a URL with a scheme and a host: https://shop.example.com/health, tcp://db:5432")
    if asks is None:
        raise ValueError(f"{shortened(parts.scheme)}:// is not known: must be one of {', '.join(sorted(SCHEMES))}")
    if kind and kind != asks and kind not in _ANY_SCHEME:
        raise ValueError(f"a target of kind {kind} is not asked for by {parts.scheme}://")
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    host, port = _host(hosts, parts.scheme)
    if (kind or asks) == "tcp" and port is None:
        raise ValueError("needs a port, as in tcp://db.example.com:5432")
    bare = host if port is None else f"{host}:{port}"
    url = SplitResult(parts.scheme, bare, _ascii(parts.path), _ascii(parts.query), "").geturl()
    return Address(url, kind or asks, unquote(username), unquote(password), next(_secret_looking(parts.query), ""))


def origin(url: str) -> tuple[str, str]:
    """To whom secrets of a target go."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _host(text: str, scheme: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"{scheme}://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host or a port that cannot be called: ports are from 1 to 65535") from None
    if not host or port == 0 or parts.path or "@" in text:
        raise ValueError("has a host or a port that cannot be called: ports are from 1 to 65535")
    if ":" in host:
        return f"[{host}]", port
    try:
        made = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ValueError("has the name of a host that cannot be looked up") from None
    if not all(character.isalnum() or character in "-._~" for character in made) or len(made) > 253:
        raise ValueError("has the name of a host that cannot be looked up")
    return made, port


def _ascii(text: str) -> str:
    """What is no ASCII as it is sent, percent-encoded."""
    return quote(text, safe=_SAFE)


def _secret_looking(query: str) -> Iterator[str]:
    for name, value in parse_qsl(query):
        if value and any(word in name.lower() for word in _SECRET_NAMES):
            yield shortened(name, 40)
