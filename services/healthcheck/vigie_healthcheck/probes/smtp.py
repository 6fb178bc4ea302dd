"""`smtp://host:25` and `smtps://host:465`: up when the server greets and answers EHLO.

Options: `starttls`, whether the connection must become an encrypted one (port 587 is usual); `serverName`.
"""

from __future__ import annotations

from typing import Final

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.judging import judge
from vigie_healthcheck.probes.wire import Wire, connected

_MAX_LINES: Final = 100
_EHLO: Final = b"EHLO vigie.invalid\r\n"


async def smtp(question: Question, way: Way, phases: Phases) -> Facts:
    tls = question.parts().scheme == "smtps"
    starttls = question.says("starttls") and not tls
    async with connected(question, 465 if tls else 587 if starttls else 25, way, phases, tls=tls) as wire:
        with phases.measure("processing"):
            said = await _expect(wire, b"220", "greet")
            wire.writer.write(_EHLO)
            said += await _expect(wire, b"250", "answer EHLO")
        if starttls:
            said += await _encrypted(wire, phases, said)
        wire.writer.write(b"QUIT\r\n")
        facts = wire.facts()
    await judge(b"\n".join(said), question, way, phases, facts)
    return facts


async def _encrypted(wire: Wire, phases: Phases, offered: list[bytes]) -> list[bytes]:
    with phases.measure("processing"):
        if not any(line[4:].strip().upper() == b"STARTTLS" for line in offered):
            raise Failed("the mail server does not offer STARTTLS")
        wire.writer.write(b"STARTTLS\r\n")
        await _expect(wire, b"220", "begin TLS")
    await wire.encrypt(phases)
    with phases.measure("processing"):
        wire.writer.write(_EHLO)
        return await _expect(wire, b"250", "answer EHLO after STARTTLS")


async def _expect(wire: Wire, code: bytes, to_do: str) -> list[bytes]:
    """The lines of one answer."""
    lines: list[bytes] = []
    for _ in range(_MAX_LINES):
        lines.append(await wire.line())
        if not lines[-1].startswith(code):
            break
        if lines[-1][3:4] != b"-":
            return lines
    raise Failed(f"the mail server did not {to_do}")
