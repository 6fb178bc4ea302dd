"""`mongodb://host:27017/?tls=true`: up when that server answers `hello` and `ping`; a member of a replica set without a
primary is degraded.

Only this server is asked, over our own connection: a driver would go on to the other members by the names that they
call themselves. With a login (`authSource` of the URL, else its database, else `admin`) the password must be right.

Options: `serverName`.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import parse_qs

import bson
from bson.errors import BSONError
from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.scram import Refused, Scram
from vigie_healthcheck.probes.wire import Wire, connected

_OP_MSG: Final = 2013
_HEADER_BYTES: Final = 16
_MAX_BYTES: Final = 1024 * 1024
_MAX_STEPS: Final = 4
_WRONG_PASSWORD: Final = 18
_NOT_MONGODB: Final = "what answers is not MongoDB"


async def mongodb(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    options = {name.lower(): values[-1] for name, values in parse_qs(parts.query).items()}
    source = options.get("authsource") or parts.path.strip("/") or "admin"
    user, password = question.login()
    tls = "true" in (options.get("tls"), options.get("ssl"))
    async with connected(question, 27017, way, phases, tls=tls) as wire:
        facts = wire.facts()
        with phases.measure("processing"):
            mechanisms = {"saslSupportedMechs": f"{source}.{user}"} if password else {}
            hello = await _command(wire, {"hello": 1, **mechanisms})
            if hello.get("ok") != 1:
                raise Failed("the server does not answer hello", facts=facts)
            if password:
                await _log_in(wire, source, user, password, hello.get("saslSupportedMechs"))
            if (await _command(wire, {"ping": 1})).get("ok") != 1:
                raise Failed("the server does not answer ping", facts=facts)
    facts["probe_mongodb_primary"] = float(hello.get("isWritablePrimary") is True)
    if reason := _state(hello):
        raise Failed(reason, Verdict.DEGRADED, facts)
    return facts


def _state(hello: dict[str, Any]) -> str:
    """What is wrong with a member of a replica set; "" for all others."""
    if hello.get("isWritablePrimary") or hello.get("arbiterOnly") or hello.get("msg") == "isdbgrid":
        return ""
    if hello.get("isreplicaset"):
        return "the server waits to become a member of a replica set"
    if not hello.get("secondary"):
        return "the member is neither primary nor secondary: it starts, recovers or was removed"
    return "" if hello.get("primary") else "the replica set has no primary"


async def _log_in(wire: Wire, source: str, user: str, password: str, mechanisms: Any) -> None:
    sha1 = isinstance(mechanisms, list) and "SCRAM-SHA-1" in mechanisms and "SCRAM-SHA-256" not in mechanisms
    if sha1:  # of users made before MongoDB 4
        password = hashlib.md5(f"{user}:mongo:{password}".encode(), usedforsecurity=False).hexdigest()
    scram = Scram("sha1" if sha1 else "sha256", user, password)
    start = {"saslStart": 1, "mechanism": "SCRAM-SHA-1" if sha1 else "SCRAM-SHA-256", "payload": scram.first()}
    try:
        said = await _login_step(wire, source, start)
        conversation = said.get("conversationId")
        proof = await scram.final(_payload(said))
        said = await _login_step(wire, source, _go_on(conversation, proof))
        scram.verify(_payload(said))
        for _ in range(_MAX_STEPS):
            if said.get("done"):
                return
            said = await _login_step(wire, source, _go_on(conversation, b""))
    except Refused:
        raise Failed("the server does not prove that it knows the password") from None


def _payload(said: dict[str, Any]) -> bytes:
    """Raises Refused."""
    payload = said.get("payload")
    if not isinstance(payload, bytes):
        raise Refused
    return payload


def _go_on(conversation: Any, words: bytes) -> dict[str, Any]:
    return {"saslContinue": 1, "conversationId": conversation, "payload": words}


async def _login_step(wire: Wire, source: str, words: dict[str, Any]) -> dict[str, Any]:
    said = await _command(wire, words, source)
    if said.get("ok") == 1:
        return said
    wrong = said.get("code") == _WRONG_PASSWORD
    raise Failed("the user name or the password is wrong" if wrong else "the server refuses the login")


async def _command(wire: Wire, command: dict[str, Any], database: str = "admin") -> dict[str, Any]:
    """The answer to one command. Raises Failed."""
    body = b"\0\0\0\0\0" + bson.encode({**command, "$db": database})  # no flags, one document
    numbers = (_HEADER_BYTES + len(body), 1, 0, _OP_MSG)
    wire.writer.write(b"".join(number.to_bytes(4, "little") for number in numbers) + body)
    header = await wire.exactly(_HEADER_BYTES)
    size, answered, kind = (int.from_bytes(header[at : at + 4], "little", signed=True) for at in (0, 8, 12))
    if kind != _OP_MSG or answered != 1 or not _HEADER_BYTES + 5 < size <= _MAX_BYTES:
        raise Failed(_NOT_MONGODB)
    answer = await wire.exactly(size - _HEADER_BYTES)
    try:
        return bson.decode(answer[5:]) if answer[4] == 0 else {}
    except BSONError:
        raise Failed(_NOT_MONGODB) from None
