"""`smtp://host:25` and `smtps://host:465`: up when the server greets and answers EHLO."""

from __future__ import annotations

from typing import Final

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import Wire, connected

_MAX_LINES: Final = 100


async def smtp(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    tls = parts.scheme == "smtps"
    async with connected(question, 465 if tls else 25, way, phases, tls=tls) as wire:
        with phases.measure("processing"):
            await _expect(wire, b"220", "greet")
            wire.writer.write(b"EHLO vigie.invalid\r\n")
            await _expect(wire, b"250", "answer EHLO")
            wire.writer.write(b"QUIT\r\n")
    return {}


async def _expect(wire: Wire, code: bytes, to_do: str) -> None:
    for _ in range(_MAX_LINES):
        line = await wire.line()
        if not line.startswith(code):
            break
        if line[3:4] != b"-":
            return
    raise Failed(f"the mail server did not {to_do}")
