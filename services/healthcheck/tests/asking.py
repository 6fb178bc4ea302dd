"""One question to a server of the test."""

from __future__ import annotations

import ssl
from typing import Any

from vigie_healthcheck.probes.base import Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.probes.trust import Trust
from vigie_runtime.addresses import networks
from vigie_runtime.egress import Egress

LOOPBACK = networks("127.0.0.0/8,::1/128")


def nobody() -> ssl.SSLContext:
    """Trusts nobody yet."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def outcome(kind: str, url: str, trust: Trust | None = None, deadline_s: float = 5.0, **more: Any) -> Outcome:
    """As a target with this URL, and these fields of its question, would be judged."""
    return await ask(PROBES[kind], Question(url, **more), deadline_s, Way(Egress(LOOPBACK), trust or Trust(nobody)))


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer of HTTP."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body
