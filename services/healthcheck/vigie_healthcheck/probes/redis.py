"""`redis://` and `rediss://`: up when PING is answered, also by "log in first"."""

from __future__ import annotations

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import connected


async def redis(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    tls = parts.scheme == "rediss"
    async with connected(question, 6379, way, phases, tls=tls) as wire:
        with phases.measure("processing"):
            wire.writer.write(b"PING\r\n")
            said = await wire.line()
    if said == b"+PONG" or said.startswith(b"-NOAUTH"):
        return {}
    if said.startswith(b"-LOADING"):
        raise Failed("Redis is still loading its data")
    raise Failed("what answers is not Redis, or refuses to serve")
