"""Where the simulated services say whether they run: one address of this machine, and a path for each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from vigie_standalone.demo.control import Control
from vigie_standalone.demo.incidents import conditions
from vigie_standalone.demo.services import SERVICES, Service

HOST = "127.0.0.1"
HEAD_TIMEOUT_S = 5.0
_PATHS = {f"/{service.name}/health": service for service in SERVICES}


def url(port: int, service: Service) -> str:
    """Where to ask a service."""
    return f"http://{HOST}:{port}/{service.name}/health"


@asynccontextmanager
async def serving(port: int, control: Control) -> AsyncIterator[None]:
    """Answer on the port of this machine. What an incident has stopped answers 503."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, rest = head.decode("latin-1").partition(" ")
                status, body = said(rest.partition(" ")[0], control)
                text = json.dumps(body).encode()
                lines = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\n"
                writer.write(f"{lines}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, HOST, port):
        yield


def said(path: str, control: Control) -> tuple[HTTPStatus, dict[str, str]]:
    """The answer at a path."""
    service = _PATHS.get(path)
    if service is None:
        return HTTPStatus.NOT_FOUND, {"status": "unknown"}
    running = conditions(service.name, control.active(time.time())).running
    status = HTTPStatus.OK if running else HTTPStatus.SERVICE_UNAVAILABLE
    return status, {"service": service.name, "status": "up" if running else "stopped"}
