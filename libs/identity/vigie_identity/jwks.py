"""The public keys of an issuer, fetched from its JWKS URL: cached, refreshed beside the requests, never too often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx2
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from vigie_runtime import logging, tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, reason_of

from vigie_identity.errors import BadCredential, IssuerUnavailable, RefusalReason

log = logging.get(__name__)

REFRESH_S: Final = 240.0
"""After this the keys are fetched again, while the old ones still serve: so nobody waits where tokens keep coming."""
FRESH_S: Final = 300.0
"""After this they are fetched before they are believed: a withdrawn key works no longer than that."""
STALE_S: Final = 3_600.0
"""For so long old keys are believed of an issuer that was asked and does not answer; then nothing is."""
MAX_WAITING: Final = 64
"""Tokens that wait for a fetch: half of the strangers that may be looked up, so that others get their turn."""
MISS_INTERVAL_S: Final = 30.0
"""An unknown key id has the keys fetched again, but not more often than this."""
RETRY_S: Final = 5.0
FETCH_TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 512 * 1024
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2_048

Keys = Mapping[tuple[str | None, str], Any]
"""By key id and algorithm."""


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


class JwksError(Exception):
    """The answer of the URL is no set of keys."""


class Jwks:
    """Keys for tokens of one issuer. All methods are for one event loop."""

    def __init__(self, url: str, algorithms: Iterable[str], client: httpx2.AsyncClient, clock: Clock) -> None:
        self._url = url
        self._algorithms = frozenset(algorithms)
        self._client = client
        self._clock = clock
        self._keys: Keys = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._failed = float("-inf")
        self._waiting = 0
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> Any:
        """The key to verify with. Raises BadCredential for an unknown one, IssuerUnavailable when nobody can say, Busy
        when too many wait for the issuer."""
        now = self._clock.monotonic()
        age = now - self._fetched
        if age >= STALE_S or (age >= FRESH_S and now - self._failed >= FRESH_S):
            await self._fetch(RETRY_S)
        elif age >= REFRESH_S:
            self._start(RETRY_S)
        if self._clock.monotonic() - self._fetched >= STALE_S:
            raise IssuerUnavailable
        if (found := self._keys.get((kid, algorithm))) is None:
            await self._fetch(MISS_INTERVAL_S)
            found = self._keys.get((kid, algorithm))
        if found is None:
            raise BadCredential(RefusalReason.KEY_UNKNOWN)
        return found

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            await tasks.end([self._fetching])

    async def _fetch(self, interval_s: float) -> None:
        """Wait for a fetch, unless the last one began less than `interval_s` ago and is over."""
        task = self._start(interval_s)
        if task is None:
            return
        if self._waiting >= MAX_WAITING:
            raise Busy("tokens whose issuer is asked for its keys")
        self._waiting += 1
        try:
            await asyncio.wait([task])  # and not the task itself: whoever gives up waiting does not end it for others
        finally:
            self._waiting -= 1

    def _start(self, interval_s: float) -> asyncio.Task[None] | None:
        if self._fetching is None and self._clock.monotonic() - self._tried >= interval_s:
            self._tried = self._clock.monotonic()
            self._fetching = asyncio.create_task(self._refresh(), name="jwks")
        return self._fetching

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                self._keys = usable_keys(await self._download(), self._algorithms)
            self._fetched = self._clock.monotonic()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, JwksError) as e:
            self._failed = self._clock.monotonic()
            log.warning("the keys of the tokens' issuer could not be fetched", url=self._url, reason=reason_of(e))
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url, headers={"accept": "application/json"}) as response:
            if response.status_code != 200:
                raise JwksError(f"HTTP status {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise JwksError(f"more than {MAX_BYTES} bytes")
            return bytes(body)


def http_client() -> httpx2.AsyncClient:
    """A client that follows no redirect: the keys come from where the operator said."""
    return httpx2.AsyncClient(timeout=httpx2.Timeout(FETCH_TIMEOUT_S), follow_redirects=False)


def usable_keys(body: bytes, algorithms: frozenset[str]) -> Keys:
    """The public keys of a JWKS document that may verify one of the algorithms. Raises JwksError for no document.

    Keys of other kinds are passed over: an issuer may have them for other purposes."""
    try:
        entries = msgspec.json.decode(body, type=_Document).keys
    except (msgspec.DecodeError, RecursionError) as e:
        raise JwksError(f"no JWKS document: {reason_of(e)}") from None
    keys: dict[tuple[str | None, str], Any] = {}
    for entry in entries[:MAX_KEYS]:
        for algorithm in algorithms:
            if (key := _key(entry, algorithm)) is not None:
                kid = entry.get("kid")
                keys[kid if isinstance(kid, str) else None, algorithm] = key
    for algorithm in algorithms:
        only = [key for (_, one), key in keys.items() if one == algorithm]
        if len(only) == 1:  # a token need not say which one
            keys[None, algorithm] = only[0]
        else:
            keys.pop((None, algorithm), None)
    return keys


def _key(entry: Mapping[str, Any], algorithm: str) -> Any | None:
    kind = {"RS256": ("RSA", None), "ES256": ("EC", "P-256")}[algorithm]
    if (entry.get("kty"), entry.get("crv") if kind[1] else None) != kind:
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm or "d" in entry:
        return None
    try:
        key = PyJWK(dict(entry), algorithm=algorithm).key
    except (PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return None
    return key
