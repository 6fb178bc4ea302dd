"""Which requests are refused before an app sees them, because a browser may have been made to send them: those that are
addressed to another host than this server's, and writes by pages of other origins.

Nobody needs a credential on their own machine, so a page of the internet that runs in a browser there would be as good
as its user. The rule for writes is that of Go's `http.CrossOriginProtection`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from vigie_contracts.problems import Problem, ProblemKind, problem

ANY: Final = "*"
LOOPBACK: Final = ("localhost", "*.localhost", "127.0.0.1", "::1")
"""Names by which a server that listens on loopback is asked."""

_SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_OUR_PAGES: Final = frozenset((b"same-origin", b"none"))
"""`none` is the user: an address that was typed, a bookmark."""
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/@\s]+?))\.?(?::\d{1,5})?")
_KEPT: Final = 256

_NO_HOST: Final = problem(ProblemKind.MALFORMED, 400, "Host: is missing; HTTP/1.1 asks for one in every request")
_TWO_HOSTS: Final = problem(ProblemKind.MALFORMED, 400, "Host: is there twice; a request is for one host")
_MISDIRECTED: Final = problem(
    ProblemKind.MISDIRECTED,
    421,
    "Host: this server is not asked by that name; ask it as localhost or 127.0.0.1. Behind a proxy, or under a name of "
    "its own, it has to be started with VIGIE_ALLOWED_HOSTS and that name",
)
_CROSS_SITE: Final = problem(
    ProblemKind.CROSS_SITE,
    403,
    "a page of another origin may not write here without a credential; send an API key or a token, or name the page's "
    "origin in VIGIE_CORS_ORIGINS",
)

_CROSS_SITE_LISTENER: Final = problem(
    ProblemKind.CROSS_SITE,
    403,
    "a page of another origin may not listen here; name the page's origin in VIGIE_CORS_ORIGINS",
)


def trusted_hosts(named: Sequence[str], listening: str) -> tuple[str, ...] | None:
    """The names that requests may be addressed to: those of the settings and those of loopback. Without a setting, who
    listens on loopback is asked by its names, and who listens elsewhere by any: None."""
    if ANY in named:
        return None
    if named:
        return (*named, *LOOPBACK)
    return (listening.lower(), *LOOPBACK) if _is_loopback(listening) else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class RequestGuard:
    """Judges the head of a request. `origins` are those of CORS, `hosts` what `trusted_hosts` gives."""

    def __init__(self, origins: Sequence[str] = (), hosts: Sequence[str] | None = None) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any_origin = ANY in origins
        self._any_host = hosts is None
        self._names = frozenset(hosts or ())
        self._below = tuple(name[1:] for name in self._names if name.startswith("*."))
        self._is_ours = lru_cache(_KEPT)(self._judge_host)

    def refusal(
        self, method: bytes, version: str, headers: Sequence[tuple[bytes, bytes]], *, websocket: bool = False
    ) -> Problem | None:
        """Why the request is refused; None for nearly all. Names of headers are in lower case. A WebSocket is refused
        like a write: browsers let every page open one, and read what comes."""
        given = dict(headers)
        host = given.get(b"host")
        if host is None:
            if version != "1.0":
                return _NO_HOST
        elif len(given) != len(headers) and sum(name == b"host" for name, _ in headers) > 1:
            return _TWO_HOSTS
        elif not self._any_host and not self._is_ours(host):
            return _MISDIRECTED
        if method in _SAFE and not websocket:
            return None
        origin, site = given.get(b"origin"), given.get(b"sec-fetch-site")
        if origin is None and site is None:
            return None  # no browser
        if self._any_origin or origin in self._origins or b"authorization" in given or b"x-api-key" in given:
            return None  # pages cannot add a credential without asking first, by OPTIONS
        ours = origin is not None and host is not None and origin.partition(b"://")[2] == host
        if ours if site is None else site in _OUR_PAGES:
            return None
        return _CROSS_SITE_LISTENER if websocket else _CROSS_SITE

    def _judge_host(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            return False
        name = found[1] or found[2]
        return name in self._names or name.endswith(self._below)
