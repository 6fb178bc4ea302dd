"""What probes have in common: a question in, an outcome out, never later than the deadline.

A probe is a function that asks and returns facts, or raises Failed. Its deadline, its measured phases, and sentences
for what goes wrong with every connection are made here, once for all.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import Final, Protocol, Self, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations, Secrets, Target
from vigie_contracts.tenants import TenantId
from vigie_runtime.egress import AddressForbidden, Egress, HostUnknown
from vigie_runtime.errors import Busy
from vigie_runtime.expressions import Expressions
from vigie_storage.health.beats import Beat

from vigie_healthcheck.probes import conditions, trust
from vigie_healthcheck.probes.trust import Trust

EXPECTED: Final = Expectations()
NOBODY: Final = TenantId("")
JUDGING: Final = "conditions"
"""The phase in which the answer is judged: the prober's time, not the target's."""
EXPIRY: Final = "probe_ssl_earliest_cert_expiry"
"""The fact that says when a certificate ends, seconds since the Unix epoch."""
_OURS: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM,
    errno.EAFNOSUPPORT,
})  # fmt: skip
"""What the operating system says when the prober cannot connect, whoever the target is."""
_DOING: Final = {
    "resolve": "looking up the name",
    "connect": "connecting",
    "tls": "the TLS handshake",
    "processing": "waiting for the answer",
    "transfer": "reading the answer",
}

Facts: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a target. `url` may have credentials: it never goes into a reason."""

    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """What only this kind of probe knows."""
    expect: Expectations = EXPECTED
    max_redirects: int = 5
    verify: bool = True
    """Whether the certificate must be one that is trusted."""
    target: str = ""
    """The id: of what is not asked for over the network."""
    tenant: TenantId = NOBODY
    heard_every: timedelta = timedelta()
    """Of what reports by itself."""
    may_be_late: timedelta = timedelta()

    @classmethod
    def of(cls, target: Target, secrets: Secrets) -> Self:
        """As the target is configured."""
        return cls(
            target.url,
            target.method,
            secrets.headers,
            secrets.body.encode(),
            secrets.username,
            secrets.password,
            target.options,
            target.expect,
            target.max_redirects,
            target.verify,
            target.id,
            TenantId(target.tenant),
            timedelta(milliseconds=target.interval_ms),
            timedelta(milliseconds=target.timeout_ms),
        )

    def parts(self) -> SplitResult:
        """The parts of the URL. Raises Failed."""
        return split(self.url)

    def login(self) -> tuple[str, str]:
        """User name and password: those of the URL before those of the target. Both may be empty."""
        parts = self.parts()
        if parts.username is None:
            return self.username, self.password
        return unquote(parts.username), unquote(parts.password or "")

    def says(self, option: str) -> bool:
        """Whether an option that is yes or no says yes."""
        return self.options.get(option, "").lower() in ("true", "yes", "1", "on")


class HeardOf(Protocol):
    """`Beats`."""

    async def last(self, target: str) -> Beat | None:
        """Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """How targets are reached. `trust`: whose certificates count. `expressions`: where answers are judged. `beats`:
    when targets that report by themselves were heard of."""

    egress: Egress
    trust: Trust = field(default_factory=Trust)
    expressions: Expressions = field(default_factory=Expressions)
    beats: HeardOf | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`phases`: seconds by blackbox_exporter's names. `reason`: a sentence, empty when up. `facts`: samples by name."""

    verdict: Verdict
    reason: str
    duration_s: float
    phases: Mapping[str, float]
    facts: Facts
    regions: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Where it is asked from several: whether it is up, by those that know."""
    unreachable: bool = False
    """It is down as far as one can see from here: a prober without network would find the same."""


class Failed(Exception):  # noqa: N818 - a verdict, not a fault of the program
    """The target did not do what is asked of it."""

    def __init__(self, reason: str, verdict: Verdict = Verdict.DOWN, facts: Facts | None = None) -> None:
        super().__init__(reason)
        self.reason, self.verdict, self.facts = reason, verdict, facts or {}


class Phases:
    """Seconds by phase, summed over redirects; `now`: the one that goes on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.now = ""

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count what happens inside as this phase. After an error `now` stays, so that the reason can name it."""
        began, self.now = perf_counter(), name
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - began
        self.now = ""


Probe: TypeAlias = Callable[[Question, Way, Phases], Awaitable[Facts]]
"""Asks, and returns facts. Raises Failed, and what connections raise."""


def split(url: str) -> SplitResult:
    """The parts of a URL with a host. Raises Failed."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, SplitResult("", "", "", "", "")
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise Failed("the address of the target cannot be called", Verdict.UNKNOWN)
    return parts


async def ask(probe: Probe, question: Question, deadline_s: float, way: Way) -> Outcome:
    """The outcome, `deadline_s` after now at the latest. What is up, but slow or with a certificate that ends soon, is
    degraded."""
    # Not the event loop's time: uvloop's stands still while it works, and has milliseconds.
    began, phases = perf_counter(), Phases()
    verdict, reason, facts, unreachable = Verdict.UP, "", dict[str, float](), False
    limit = asyncio.timeout(deadline_s)
    try:
        async with limit:
            facts = dict(await probe(question, way, phases))
    except Failed as e:
        verdict, reason, facts = e.verdict, e.reason, dict(e.facts)
    except AddressForbidden as e:
        verdict, reason = Verdict.UNKNOWN, str(e)
    except Busy:
        verdict, reason = Verdict.UNKNOWN, "the prober looks up too many names that do not come"
    except HostUnknown as e:
        verdict, reason, unreachable = Verdict.DOWN, str(e), True
    except OSError as e:  # a TimeoutError is one too
        verdict, reason = _late(deadline_s, phases.now) if limit.expired() else _broken(e, phases.now)
        unreachable = not isinstance(e, (ssl.SSLError, ConnectionRefusedError))
    # Where answers are judged many may wait: that is no time of the target.
    took = perf_counter() - began - phases.seconds.pop(JUDGING, 0.0)
    if verdict is Verdict.UP:
        ending = conditions.ending(question.expect, facts.get(EXPIRY), time.time())
        if reason := conditions.slow(question.expect, took) or ending:
            verdict = Verdict.DEGRADED
    return Outcome(verdict, reason, took, phases.seconds, facts, unreachable=unreachable)


def _late(deadline_s: float, phase: str) -> tuple[Verdict, str]:
    if phase == JUDGING:
        return Verdict.UNKNOWN, "there was no time to judge the answer"
    return Verdict.DOWN, f"no answer within {deadline_s:g} s, the time ended in {_DOING.get(phase, 'asking')}"


def _broken(error: OSError, phase: str) -> tuple[Verdict, str]:
    if isinstance(error, ssl.SSLError):
        return Verdict.DOWN, trust.sentence(error)
    if error.errno in _OURS:
        return Verdict.UNKNOWN, "the prober itself cannot connect: it lacks files, ports, memory or a permission"
    if isinstance(error, ConnectionRefusedError):
        return Verdict.DOWN, "the connection was refused"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return Verdict.DOWN, "there is no route to the host"
    if phase == "connect":
        return Verdict.DOWN, "no connection"
    return (
        Verdict.DOWN,
        f"the connection was lost {'in' if phase == 'tls' else 'while'} {_DOING.get(phase, 'answering')}",
    )
