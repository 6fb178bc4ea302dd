"""`tcp://host:port`: up when it takes connections; with conditions, when what it says then meets them.

Options: `send`, text that is sent first (`\\r`, `\\n`, `\\t` and `\\\\` stand for themselves).
"""

from __future__ import annotations

from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.judging import judge
from vigie_healthcheck.probes.wire import Wire, connected

_MAX_BYTES: Final = 64 * 1024
_ESCAPES: Final = {"\\r": "\r", "\\n": "\n", "\\t": "\t"}


async def tcp(question: Question, way: Way, phases: Phases) -> Facts:
    if question.parts().port is None:
        raise Failed("a port is needed, as in tcp://host:5432", Verdict.UNKNOWN)
    async with connected(question, 0, way, phases) as wire:
        if sent := question.options.get("send", ""):
            wire.writer.write(_plain(sent))
        if conditions.any_of_body(question.expect):
            await _meets(wire, phases)
    return {}


async def _meets(wire: Wire, phases: Phases) -> None:
    """Ends as soon as what has come meets the conditions. Raises Failed when it never will."""
    said = b""
    while len(said) < _MAX_BYTES:
        with phases.measure("processing"):
            more = await wire.reader.read(_MAX_BYTES - len(said))
        if not more:
            if not said:
                raise Failed("the connection was closed without an answer")
            break
        said += more
        try:
            await judge(said, wire.question, wire.way, phases)
        except Failed as e:
            if e.verdict is Verdict.UNKNOWN:
                raise
        else:
            return
    await judge(said, wire.question, wire.way, phases)


def _plain(text: str) -> bytes:
    parts = text.split("\\\\")
    for escape, plain in _ESCAPES.items():
        parts = [part.replace(escape, plain) for part in parts]
    return "\\".join(parts).encode()
