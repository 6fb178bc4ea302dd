"""`redis://` and `rediss://`: up when PING is answered, also by "log in first" where no password is given."""

from __future__ import annotations

from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import Wire, connected

_REFUSED: Final = {
    b"-WRONGPASS": "the user name or the password is wrong",
    b"-ERR invalid password": "the password is wrong",
    b"-ERR AUTH": "a password is given, but Redis has none",
    b"-ERR Client sent AUTH": "a password is given, but Redis has none",
    b"-ERR wrong number": "a user name is given, but this Redis knows no users",
}


async def redis(question: Question, way: Way, phases: Phases) -> Facts:
    tls = question.parts().scheme == "rediss"
    user, password = question.login()
    async with connected(question, 6379, way, phases, tls=tls) as wire:
        with phases.measure("processing"):
            if password:
                await _log_in(wire, user, password)
            wire.writer.write(_command("PING"))
            said = await wire.line()
        facts = wire.facts()
    if said in (b"+PONG", b"$4") or said.startswith(b"-NOPERM") or (said.startswith(b"-NOAUTH") and not password):
        return facts
    if said.startswith(b"-LOADING"):
        raise Failed("Redis is still loading its data", facts=facts)
    if said.startswith(b"-MISCONF"):
        raise Failed("Redis cannot save its data, and takes no writes", Verdict.DEGRADED, facts)
    raise Failed("what answers is not Redis, or refuses to serve", facts=facts)


async def _log_in(wire: Wire, user: str, password: str) -> None:
    wire.writer.write(_command("AUTH", *([user] if user else []), password))
    said = await wire.line()
    if said != b"+OK":
        known = (sentence for start, sentence in _REFUSED.items() if said.startswith(start))
        raise Failed(next(known, "what answers is not Redis, or refuses the login"))


def _command(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
