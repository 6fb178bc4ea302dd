"""What probes have in common: a question in, an outcome out, never later than the deadline.

A probe is a function that asks and returns facts, or raises Failed. Its deadline, its measured phases, and sentences
for what goes wrong with every connection are made here, once for all.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias
from urllib.parse import SplitResult, urlsplit

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations, Secrets, Target
from vigie_runtime.egress import AddressForbidden, Egress, HostUnknown

EXPECTED: Final = Expectations()
MAX_BODY_BYTES: Final = 1024 * 1024
_EXPIRED, _SELF_SIGNED, _SELF_SIGNED_CHAIN, _WRONG_HOST, _WRONG_ADDRESS = 10, 18, 19, 62, 64
_UNTRUSTED: Final = {
    _EXPIRED: "the certificate has expired",
    _SELF_SIGNED: "the certificate is self-signed",
    _SELF_SIGNED_CHAIN: "the certificate is signed by an authority that is not trusted",
    _WRONG_HOST: "the certificate is for another host",
    _WRONG_ADDRESS: "the certificate is for another host",
}
"""By OpenSSL's X509_V_ERR codes."""
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
        )

    def parts(self) -> SplitResult:
        """The parts of the URL. Raises Failed."""
        return split(self.url)


@dataclass(frozen=True, slots=True)
class Way:
    """How targets are reached. `trust`: whose certificates count."""

    egress: Egress
    trust: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Outcome:
    """`phases`: seconds by blackbox_exporter's names. `reason`: a sentence, empty when up. `facts`: samples by name."""

    verdict: Verdict
    reason: str
    duration_s: float
    phases: Mapping[str, float]
    facts: Facts
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
        clock = asyncio.get_running_loop().time
        began, self.now = clock(), name
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + clock() - began
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
    if not usable or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise Failed("the address of the target cannot be called", Verdict.UNKNOWN)
    return parts


async def ask(probe: Probe, question: Question, deadline_s: float, way: Way) -> Outcome:
    """The outcome, `deadline_s` after now at the latest."""
    clock = asyncio.get_running_loop().time
    began, phases = clock(), Phases()
    verdict, reason, facts, unreachable = Verdict.UP, "", dict[str, float](), False
    try:
        async with asyncio.timeout(deadline_s):
            facts = dict(await probe(question, way, phases))
    except Failed as e:
        verdict, reason, facts = e.verdict, e.reason, dict(e.facts)
    except AddressForbidden as e:
        verdict, reason = Verdict.UNKNOWN, str(e)
    except HostUnknown as e:
        verdict, reason, unreachable = Verdict.DOWN, str(e), True
    except TimeoutError:
        doing = _DOING.get(phases.now, "asking")
        verdict, reason = Verdict.DOWN, f"no answer within {deadline_s:g} s, the time ended in {doing}"
        unreachable = True
    except OSError as e:
        verdict, reason = Verdict.DOWN, _broken(e, phases.now)
        unreachable = not isinstance(e, (ssl.SSLCertVerificationError, ConnectionRefusedError))
    return Outcome(verdict, reason, clock() - began, phases.seconds, facts, unreachable)


def _broken(error: OSError, phase: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNTRUSTED.get(error.verify_code, "the certificate is not trusted")
    if isinstance(error, ssl.SSLError):
        return "no encrypted connection: the TLS handshake failed"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if phase == "connect":
        return "no connection"
    return f"the connection was lost while {'answering' if phase == '' else _DOING.get(phase, 'answering')}"
