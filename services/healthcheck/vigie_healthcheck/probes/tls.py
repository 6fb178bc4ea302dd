"""`tls://host:port`: up when its certificate is trusted, is for that host, and has not expired."""

from __future__ import annotations

from vigie_healthcheck.probes.base import Facts, Phases, Question, Way
from vigie_healthcheck.probes.wire import connected


async def tls(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    async with connected(parts.hostname or "", parts.port or 443, way, phases, tls=True) as wire:
        expiry = wire.expiry()
        return {} if expiry is None else {"probe_ssl_earliest_cert_expiry": expiry}
