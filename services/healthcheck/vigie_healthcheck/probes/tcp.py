"""`tcp://host:port`: up when it takes connections."""

from __future__ import annotations

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import connected


async def tcp(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    if not parts.hostname or parts.port is None:
        raise Failed("a port is needed, as in tcp://host:5432", Verdict.UNKNOWN)
    async with connected(parts.hostname, parts.port, way, phases):
        return {}
