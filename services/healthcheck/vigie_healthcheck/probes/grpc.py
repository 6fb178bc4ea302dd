"""`grpc://host:50051` and `grpcs://`: up when the health service (`grpc.health.v1.Health/Check`) says SERVING.

Options: `service`, whose health is asked for (else that of the whole server); `serverName`. Headers of the target are
sent as metadata. HTTP/2 is spoken here over our own connection: a gRPC channel resolves and connects by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import Wire, connected

_PATH: Final = "/grpc.health.v1.Health/Check"
_READ_BYTES: Final = 16 * 1024
_MAX_BYTES: Final = 64 * 1024
_NOT_HTTP2: Final = "what answers is not HTTP/2, or broke off"
_SERVING: Final = 1
_STATES: Final = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_OK, _NOT_FOUND, _UNIMPLEMENTED = 0, 5, 12
_CODES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_REASONS: Final = {
    _NOT_FOUND: "the server does not know this service (NOT_FOUND)",
    _UNIMPLEMENTED: "the server has no health service (UNIMPLEMENTED)",
}


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """With the trailers, which say how it went."""
    data: bytes = b""
    ended: bool = False


async def grpc(question: Question, way: Way, phases: Phases) -> Facts:
    tls = question.parts().scheme == "grpcs"
    headers, message = _headers(question, tls=tls), _message(question.options.get("service", ""))
    async with connected(question, 443 if tls else 50051, way, phases, tls=tls, alpn="h2" if tls else "") as wire:
        with phases.measure("processing"):
            try:
                answer = await _call(wire, headers, message)
            except h2.exceptions.H2Error:
                raise Failed(_NOT_HTTP2, facts=wire.facts()) from None
        facts = wire.facts()
    return _judged(answer, facts)


def _judged(answer: _Answer, facts: dict[str, float]) -> Facts:
    if (status := answer.headers.get(":status", "")) != "200":
        raise Failed(f"it answered with HTTP status {status[:3]}, not as gRPC does", facts=facts)
    code = answer.headers.get("grpc-status", "")
    if not code.isdecimal() or not code.isascii() or len(code) > 3:
        raise Failed("the server did not say how the call ended", facts=facts)
    facts["probe_grpc_status_code"] = float(code)
    if int(code) != _OK:
        name = _CODES[int(code)] if int(code) < len(_CODES) else code
        raise Failed(_REASONS.get(int(code), f"it answered with gRPC status {name}"), facts=facts)
    # A message is a flag, a length and, of this kind, at most one field: number 1, a varint; 0 is left out.
    said = answer.data[5:]
    state = said[1] if len(said) == 2 and said[0] == 0x08 else 0 if not said and answer.data else None
    if state is None or answer.data[0] != 0 or int.from_bytes(answer.data[1:5]) != len(said):
        raise Failed("the answer is not that of a health service", facts=facts)
    if state != _SERVING:
        raise Failed(f"the service says {_STATES.get(state, 'what is no state of health')}", facts=facts)
    return facts


def _headers(question: Question, *, tls: bool) -> list[tuple[str, str]]:
    own = {name.lower(): value for name, value in question.headers.items()}
    if not all(text.isascii() and text.isprintable() for pair in own.items() for text in pair):
        raise Failed("a header of the target cannot be sent", Verdict.UNKNOWN)
    usual: Mapping[str, str] = {
        ":method": "POST", ":scheme": "https" if tls else "http", ":path": _PATH,
        ":authority": question.parts().netloc.rpartition("@")[2], "te": "trailers",
        "content-type": "application/grpc", "user-agent": "Vigie",
    }  # fmt: skip
    return list({**usual, **own}.items())


def _message(service: str) -> bytes:
    name = unquote(service).encode()
    if len(name) > 127:
        raise Failed("the name of the service is longer than 127 bytes", Verdict.UNKNOWN)
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return b"\x00" + len(message).to_bytes(4) + message


async def _call(wire: Wire, headers: list[tuple[str, str]], message: bytes) -> _Answer:
    """One call on a connection of its own, to its end. Raises Failed, h2's errors."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    connection.initiate_connection()
    connection.send_headers(1, headers)
    connection.send_data(1, message, end_stream=True)
    answer, size = _Answer(), 0
    while not answer.ended:
        wire.writer.write(connection.data_to_send())
        data = await wire.reader.read(_READ_BYTES)
        if not data:
            raise Failed(_NOT_HTTP2 if size else "the connection was closed without an answer")
        if not size and data.startswith(b"HTTP/1"):  # to HTTP/2 the beginning of a long frame
            raise Failed(_NOT_HTTP2)
        size += len(data)
        if size > _MAX_BYTES:
            raise Failed(f"the answer is larger than {_MAX_BYTES} bytes")
        for event in connection.receive_data(data):
            _take(event, answer)
    return answer


def _take(event: h2.events.Event, answer: _Answer) -> None:
    match event:
        case h2.events.ResponseReceived() | h2.events.TrailersReceived():
            answer.headers |= {_text(name): _text(value) for name, value in event.headers or ()}
        case h2.events.DataReceived():
            answer.data += event.data or b""
        case h2.events.StreamEnded():
            answer.ended = True
        case h2.events.StreamReset() | h2.events.ConnectionTerminated():
            raise Failed("the server broke off the call")
        case _:
            pass


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
