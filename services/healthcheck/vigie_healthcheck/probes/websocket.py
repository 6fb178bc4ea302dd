"""`ws://` and `wss://`: up when the server takes the upgrade; with conditions, when its first message meets them.

Options: `subprotocol`, which the server must choose; `send`, a text message that is sent first; `serverName`.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.judging import judge
from vigie_healthcheck.probes.wire import Wire, connected

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEADERS: Final = 100
_MAX_FRAMES: Final = 100
_MAX_CONTROL_BYTES: Final = 125
"""Of a ping or a goodbye (RFC 6455, 5.5)."""
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


async def websocket(question: Question, way: Way, phases: Phases) -> Facts:
    tls = question.parts().scheme == "wss"
    key = base64.b64encode(os.urandom(16))
    request = _request(question, key)
    async with connected(question, 443 if tls else 80, way, phases, tls=tls) as wire:
        message = b""
        with phases.measure("processing"):
            wire.writer.write(request)
            await _upgraded(wire, key, question.options.get("subprotocol", ""))
            if sent := question.options.get("send", ""):
                wire.writer.write(_frame(_TEXT, sent.encode()))
            if conditions.any_of_body(question.expect):
                message = await _message(wire)
        facts = wire.facts()
    await judge(message, question, way, phases, facts)
    return facts


def _request(question: Question, key: bytes) -> bytes:
    parts = question.parts()
    headers = {
        "Host": parts.netloc.rpartition("@")[2], "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key.decode(),
    }  # fmt: skip
    if subprotocol := question.options.get("subprotocol", ""):
        headers["Sec-WebSocket-Protocol"] = subprotocol
    user, password = question.login()
    if user or password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    headers |= question.headers
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Failed("a header of the target cannot be sent", Verdict.UNKNOWN)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _upgraded(wire: Wire, key: bytes, subprotocol: str) -> None:
    status = (await wire.line()).split(b" ")
    if status[0] != b"HTTP/1.1" or status[1:2] != [b"101"]:
        raise Failed("the server did not take the upgrade to a WebSocket")
    headers: dict[bytes, bytes] = {}
    for _ in range(_MAX_HEADERS):
        name, _, value = (await wire.line()).partition(b":")
        if not name:
            break
        headers[name.lower()] = value.strip()
    accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    if headers.get(b"sec-websocket-accept") != accepted:
        raise Failed("the server's answer is not that of a WebSocket")
    if subprotocol and headers.get(b"sec-websocket-protocol", b"").decode("latin-1") != subprotocol:
        raise Failed("the server did not choose the subprotocol that was asked for")


async def _message(wire: Wire) -> bytes:
    """The first message, put together from its frames."""
    message = b""
    for _ in range(_MAX_FRAMES):
        first, second = await wire.exactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await wire.exactly(2 if size == 126 else 8))
        if second & 0x80 or first & 0x70 or len(message) + size > conditions.MAX_BODY_BYTES:
            raise Failed("the server's message is too large, or is none of a WebSocket")
        opcode = first & 0x0F
        if opcode >= _CLOSE and size > _MAX_CONTROL_BYTES:
            raise Failed("the server's message is too large, or is none of a WebSocket")
        data = await wire.exactly(size)
        if opcode == _CLOSE:
            raise Failed("the server closed the WebSocket before its first message")
        if opcode == _PING:
            wire.writer.write(_frame(_PONG, data))
        if opcode in (_CONTINUATION, _TEXT, _BINARY):
            message += data
            if first & 0x80:
                return message
    raise Failed("the server's message has no end")


def _frame(opcode: int, data: bytes) -> bytes:
    """One masked frame, as clients must send it."""
    mask, size = os.urandom(4), len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
