"""POST for notifiers: guarded, with one deadline for all of it, and a verdict by the retry table.

| answer | verdict |
| --- | --- |
| 2xx | delivered |
| 307, 308 | sent to the new address, at most 3 times; its address is judged again |
| other 3xx | permanent: following them would turn the POST into a GET that says nothing |
| 408, 425, 429, 5xx | temporary; Retry-After is honoured |
| other 4xx | permanent |
| no address, no connection, no TLS, no answer in time | temporary |
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpcore2
from vigie_runtime.addresses import Networks
from vigie_runtime.clock import Clock
from vigie_runtime.egress import Egress, Resolve, resolve
from vigie_runtime.tracing import runtime_version

from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.guarded import GuardedBackend

DEADLINE_S: Final = 10.0
"""For one notification: look-up, connection, redirects, answer."""
BODY_S: Final = 1.0
"""For the body of an answer whose status is known already: it only helps to say what was wrong."""
MAX_ANSWER_BYTES: Final = 16 * 1024
MAX_REDIRECTS: Final = 3
MAX_URL_CHARS: Final = 2_048
MAX_RETRY_AFTER_S: Final = 3_600.0
MAX_CONNECTIONS: Final = 128
_SAME_METHOD: Final = frozenset({307, 308})
_PASSING: Final = frozenset({408, 425, 429})
_NETWORK: Final = (
    httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, httpcore2.ConnectionNotAvailable,
    OSError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of an answer is read, and for how long."""

    most_bytes: int = MAX_ANSWER_BYTES
    seconds: float = BODY_S


_BEGINNING: Final = Reading()


@dataclass(frozen=True, slots=True)
class Answer:
    """`text`: the beginning of the body; hostile until proved otherwise."""

    status: int
    headers: Mapping[str, str]
    text: str


class Http:
    """The pools of connections of a process."""

    def __init__(
        self,
        allowed: Networks,
        clock: Clock,
        *,
        deadline_s: float = DEADLINE_S,
        tls: ssl.SSLContext | None = None,
        lookup: Resolve = resolve,
    ) -> None:
        """`allowed`: networks that may be called beside public ones. `tls`: whom to trust; None: the system's
        authorities."""
        context = tls or ssl.create_default_context()
        self._guarded = _pool(context, GuardedBackend(Egress(allowed, lookup)))
        self._trusted = _pool(context, GuardedBackend(Egress(None, lookup)))
        self._clock = clock
        self._deadline_s = deadline_s

    async def aclose(self) -> None:
        """Close all connections."""
        await self._guarded.aclose()
        await self._trusted.aclose()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, trusted: bool = False, reading: Reading = _BEGINNING
    ) -> Answer:
        """The 2xx answer. Raises Temporary and Permanent by the table above. A `trusted` URL may be anywhere; where it
        redirects to may not."""
        end = asyncio.get_running_loop().time() + self._deadline_s
        for _ in range(1 + MAX_REDIRECTS):
            pool = self._trusted if trusted else self._guarded
            answer = await self._once(pool, url, headers, body, end=end, reading=reading)
            if answer.status not in _SAME_METHOD:
                self._judge(answer)
                return answer
            target = redirected(url, answer.headers.get("location", ""))
            if _origin(target) != _origin(url):
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url, trusted = target, False
        raise Permanent(Failure.REDIRECTED, f"redirected more than {MAX_REDIRECTS} times")

    async def _once(
        self, pool: httpcore2.AsyncConnectionPool, url: str, headers: Mapping[str, str], body: bytes,
        *, end: float, reading: Reading,
    ) -> Answer:  # fmt: skip
        parts = parsed(url)
        sent = {"User-Agent": f"Vigie/{runtime_version()}", "Accept": "*/*", **_login(parts), **headers}
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        try:
            async with AsyncExitStack() as stack:
                # Once there is a status there is a verdict: the deadline must not turn a delivery into a failure.
                async with asyncio.timeout_at(end):
                    stream = pool.stream("POST", bare, headers=list(sent.items()), content=body)
                    response = await stack.enter_async_context(stream)
                got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status, got, await _beginning(response, reading))
        except TimeoutError:
            raise Temporary(Failure.TIMEOUT, f"no answer within {self._deadline_s:g} s") from None
        except _NETWORK as e:
            raise _unreachable(e) from None
        except (httpcore2.UnsupportedProtocol, UnicodeError, ValueError, TypeError):
            raise Permanent(Failure.MISCONFIGURED, "the URL or a header of the channel cannot be sent") from None

    def _judge(self, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        said = f"the receiver answered {status}"
        if status in _PASSING or status >= 500:
            failure = Failure.RATE_LIMITED if status == 429 else Failure.SERVER_ERROR
            raise Temporary(failure, said, retry_after_s=self.retry_after_s(answer))
        if 300 <= status < 400:
            raise Permanent(Failure.REDIRECTED, f"{said}, a redirect that does not repeat the POST")
        raise Permanent(Failure.UNAUTHORISED if status in (401, 403) else Failure.REJECTED, said)

    def retry_after_s(self, answer: Answer) -> float | None:
        """How long the receiver wants to be left alone, an hour at most; None: it does not say."""
        text = answer.headers.get("retry-after")
        if text is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", text):
            return min(float(text), MAX_RETRY_AFTER_S)
        with suppress(ValueError, TypeError, OverflowError):
            seconds = parsedate_to_datetime(text).timestamp() - self._clock.now_ms() / 1000
            return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
        return None


def parsed(url: str) -> SplitResult:
    """The parts of a URL that can be called. Raises Permanent."""
    problem = Permanent(
        Failure.MISCONFIGURED, "a URL like https://hooks.example.com/path is needed, of visible ASCII characters"
    )
    if len(url) > MAX_URL_CHARS or not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE) or "\\" in url:
        raise problem
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise problem from None
    if not usable:
        raise problem
    return parts


def redirected(url: str, location: str) -> str:
    """Where a redirect leads. Raises Permanent for a place that must not be followed to."""
    try:
        target = urljoin(url, location)
        before, after = parsed(url), parsed(target)
    except (Permanent, ValueError):
        raise Permanent(Failure.REDIRECTED, "redirected to what is no web address") from None
    if not location or (before.scheme == "https" and after.scheme != "https"):
        raise Permanent(Failure.REDIRECTED, "redirected to nowhere, or to a connection that is not encrypted")
    return target


def _pool(tls: ssl.SSLContext, backend: GuardedBackend) -> httpcore2.AsyncConnectionPool:
    return httpcore2.AsyncConnectionPool(
        tls, max_connections=MAX_CONNECTIONS, max_keepalive_connections=32, keepalive_expiry=30, network_backend=backend
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = parsed(url)
    return parts.scheme, parts.hostname, parts.port


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def _beginning(response: httpcore2.Response, reading: Reading) -> str:
    """What comes of the body at once. The verdict does not depend on it, so nothing that goes wrong here counts."""
    got = bytearray()
    with suppress(TimeoutError, *_NETWORK):
        async with asyncio.timeout(reading.seconds):
            async for part in response.aiter_stream():
                got += part
                if len(got) >= reading.most_bytes:
                    break
    return bytes(got[: reading.most_bytes]).decode("utf-8", "replace")


def _unreachable(error: BaseException) -> Temporary:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Temporary(Failure.TLS, "the receiver's certificate is not trusted")
        if isinstance(cause, ssl.SSLError):
            return Temporary(Failure.TLS, "no encrypted connection to the receiver")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore2.TimeoutException):
        return Temporary(Failure.TIMEOUT, "no answer in time")
    if isinstance(error, httpcore2.ConnectError):
        return Temporary(Failure.UNREACHABLE, "no connection to the receiver")
    return Temporary(Failure.UNREACHABLE, "the connection to the receiver was lost")
