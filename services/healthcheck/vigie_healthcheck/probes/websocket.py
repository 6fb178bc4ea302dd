"""`ws://` and `wss://`: up when the server takes the upgrade."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.wire import connected

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEADERS: Final = 100


async def websocket(question: Question, way: Way, phases: Phases) -> Facts:
    parts = question.parts()
    tls = parts.scheme == "wss"
    key = base64.b64encode(os.urandom(16))
    accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    headers = {
        "Host": parts.netloc.rpartition("@")[2], "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key.decode(), **question.headers,
    }  # fmt: skip
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Failed("a header of the target cannot be sent", Verdict.UNKNOWN)
    async with connected(question, 443 if tls else 80, way, phases, tls=tls) as wire:
        with phases.measure("processing"):
            wire.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            status = (await wire.line()).split(b" ")
            if status[0] != b"HTTP/1.1" or status[1:2] != [b"101"]:
                raise Failed("the server did not take the upgrade to a WebSocket")
            for _ in range(_MAX_HEADERS):
                name, _, value = (await wire.line()).partition(b":")
                if name.lower() == b"sec-websocket-accept" and value.strip() == accepted:
                    return {}
                if not name:
                    break
    raise Failed("the server's answer is not that of a WebSocket")
