"""The simulated services say over HTTP whether they run."""

import asyncio
import time
from pathlib import Path

import httpx2
from vigie_standalone.demo.control import Control
from vigie_standalone.demo.health import serving, url
from vigie_standalone.demo.services import SERVICES
from vigie_standalone.embedded.ports import free_port


async def test_a_service_answers_until_an_incident_stops_it(tmp_path: Path) -> None:
    port, control = free_port(), Control(tmp_path / "incidents.json")
    async with serving(port, control), httpx2.AsyncClient(trust_env=False) as client:

        async def answers() -> dict[str, int]:
            return {one.name: (await client.get(url(port, one))).status_code for one in SERVICES}

        assert set((await answers()).values()) == {200}
        control.start("service-down", time.time() + 60)
        stopped = await client.get(url(port, SERVICES[-1]))
        assert (stopped.status_code, stopped.json()) == (503, {"service": "car-rental", "status": "stopped"})
        assert [name for name, status in (await answers()).items() if status != 200] == ["car-rental"]
        control.clear()
        assert set((await answers()).values()) == {200}
        assert (await client.get(f"http://127.0.0.1:{port}/other")).status_code == 404


async def test_what_is_no_request_harms_nobody(tmp_path: Path) -> None:
    port = free_port()
    async with serving(port, Control(tmp_path / "incidents.json")), httpx2.AsyncClient(trust_env=False) as client:
        for nonsense, answer in ((b"\r\n\r\n", b"HTTP/1.1 404"), (b"GET", b""), (b"x" * 100_000, b"")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            writer.write_eof()
            assert (await reader.read())[:12] == answer
            writer.close()
        assert (await client.get(url(port, SERVICES[0]))).status_code == 200
