"""Socket.IO, spoken by hand: what npm's client does is tried against `vigie up`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .served import READER, WRITER, Served, nobody_left, served

QUERY = "EIO=4&transport="


class Client:
    """A WebSocket client of the namespace `/`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def packet(self) -> str:
        """The next packet that is not a ping."""
        async with asyncio.timeout(5):
            while (text := str(await self.socket.recv())) == "2":
                await self.socket.send("3")
        return text

    async def join(self, auth: Any = None) -> str:
        await self.socket.send("40" if auth is None else f"40{json.dumps(auth)}")
        return await self.packet()

    async def emit(self, *event: Any) -> None:
        await self.socket.send(f"42{json.dumps(event)}")

    async def event(self, name: str) -> Any:
        """The data of the next event of this name."""
        async with asyncio.timeout(5):
            while True:
                text = await self.packet()
                if text.startswith("42") and (found := json.loads(text[2:]))[0] == name:
                    return found[1]


@asynccontextmanager
async def client_of(live: Served, query: str = "", **headers: str) -> AsyncIterator[Client]:
    address = f"ws://127.0.0.1:{live.port}/socket.io/?{QUERY}websocket{query}"
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        assert str(await socket.recv()).startswith('0{"sid"')
        yield Client(socket)


async def closed(client: Client) -> None:
    """Returns when the server has ended the connection."""
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            while True:
                await client.socket.recv()


async def test_a_client_gets_what_it_subscribes_to_and_alerts_without_asking() -> None:
    async with served() as live, client_of(live) as client:
        assert (await client.join({"token": READER})).startswith("40{")
        await client.emit("subscribe", {"type": "system"})
        assert (await client.event("system"))["area"] == "system"
        told = await client.event("metrics")
        assert (told["type"], told["channel"], told["data"]["area"]) == ("system", "system", "system")
        live.alert(7)
        assert (await client.event("alert"))["name"] == "alert 7"
        numbers = [(await client.event("system"))["number"] for _ in range(2)]
        assert numbers[0] < numbers[1]


async def test_business_and_kpi_events_have_the_documented_shapes() -> None:
    async with served() as live, client_of(live) as client:
        await client.join({"token": READER})
        await client.emit("subscribe", {"type": "business"})
        assert (await client.event("business"))["area"] == "business"
        await client.emit("subscribe", {"modelName": "marketing"})
        told = await client.event("kpi_event")
        assert {"type", "modelName", "timestamp", "data"} == told.keys()
        assert (told["type"], told["modelName"]) == ("metrics", "business")


async def test_a_summary_is_computed_once_for_all_who_look() -> None:
    async with served(websocket_broadcast_interval=60_000) as live, client_of(live) as one, client_of(live) as other:
        for client in (one, other):
            await client.join({"token": READER})
            await client.emit("subscribe", {"type": "application"})
            assert (await client.event("application"))["number"] == 1
        assert live.computed.count == 1


@pytest.mark.parametrize("how", ["auth", "query", "header"])
async def test_a_token_is_taken_from_each_place(how: str) -> None:
    query = f"&token={READER}" if how == "query" else ""
    headers = {"authorization": f"Bearer {READER}"} if how == "header" else {}
    async with served() as live, client_of(live, query, **headers) as client:
        assert (await client.join({"token": READER} if how == "auth" else None)).startswith("40{")
        await client.emit("subscribe", "system")
        assert (await client.event("subscribed"))["channel"] in ("alerts", "system")


async def test_a_bad_token_is_refused_and_what_one_may_not_see_is_an_error() -> None:
    async with served() as live, client_of(live) as bad, client_of(live) as writer, client_of(live) as nobody:
        assert (await nobody.join()).startswith("44{")
        refused = await bad.join({"token": "forged"})
        assert refused.startswith("44{")
        assert json.loads(refused[2:])["data"]["code"] == "unauthenticated"
        await writer.join({"token": WRITER})
        await writer.socket.send('421["subscribe",{"type":"system"}]')
        answers = sorted([await writer.packet(), await writer.packet()])
        assert json.loads(answers[0][2:])[1]["code"] == "forbidden"
        assert answers[1].startswith('431[{"ok":false,"code":"forbidden"')
        await writer.emit("subscribe", {"type": "weather"})
        assert "weather" in (await writer.event("error"))["message"]


async def test_a_user_who_is_blocked_is_told_and_cut_off() -> None:
    async with served(push_recheck_s=0.1) as live, client_of(live) as client:
        await client.join({"token": READER})
        live.callers.gone.add(READER.encode())
        assert (await client.event("closed"))["code"] == 4401
        await closed(client)
        assert client.socket.close_code == 4401
        assert not len(live.sessions)


async def test_who_never_says_who_it_is_is_cut_off() -> None:
    async with served(push_auth_timeout_s=0.2) as live, client_of(live) as client:
        await closed(client)


@pytest.mark.parametrize(
    "bad", [b"\x04\x00", '451-["x",{"_placeholder":true,"num":0}]', "4{}", "42[", "42" + "[" * 60_000, "z", "4"]
)
async def test_bad_packets_end_their_own_connection_and_no_other(bad: str | bytes) -> None:
    async with served() as live, client_of(live) as good, client_of(live) as client:
        await good.join({"token": READER})
        await client.join({"token": READER})
        await client.socket.send(bad)
        await closed(client)
        await good.emit("subscribe", {"type": "system"})
        assert (await good.event("system"))["area"] == "system"


async def test_a_flood_ends_its_own_connection() -> None:
    async with served(push_messages_per_s=20) as live, client_of(live) as client:
        await client.join({"token": READER})
        with suppress(ConnectionClosed):
            for _ in range(1_000):
                await client.emit("subscribe", {"type": "weather"})
        await closed(client)
        assert client.socket.close_code == 4429
        await nobody_left(live)


async def test_polling_works_alone_and_is_upgraded() -> None:
    async with served() as live:
        base = f"http://127.0.0.1:{live.port}/socket.io/?{QUERY}"
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
            sid = json.loads((await http.get(f"{base}polling")).text[1:])["sid"]
            mine = f"{base}polling&sid={sid}"
            assert (await http.post(mine, content=f'40{{"token":"{READER}"}}')).text == "OK"
            assert (await http.get(mine)).text.startswith("40{")
            assert (await http.post(mine, content='42["subscribe",{"type":"system"}]')).text == "OK"
            seen = ""
            while '42["system"' not in seen:
                seen += (await http.get(mine)).text
            async with connect(f"ws://127.0.0.1:{live.port}/socket.io/?{QUERY}websocket&sid={sid}", proxy=None) as up:
                await up.send("2probe")
                assert await up.recv() == "3probe"
                await up.send("5")
                assert (await Client(up).event("system"))["area"] == "system"


async def test_a_client_that_does_not_read_is_cut_off_and_keeps_nobody_waiting() -> None:
    async with served(push_write_timeout_s=0.5) as live, client_of(live) as stuck, client_of(live) as good:
        live.alerts.pad = "x" * 20_000
        for client in (stuck, good):
            await client.join({"token": READER})
        stuck.socket.transport.pause_reading()
        number = 10
        async with asyncio.timeout(20):
            while len(live.sessions) == 2:
                number += 100
                for one in range(number, number + 100):
                    live.alert(one)
                while not (await good.event("alert"))["name"].startswith(f"alert {number + 99}x"):
                    continue
        stuck.socket.transport.abort()


@pytest.mark.parametrize("who", ["the client", "the process"])
async def test_a_poll_ends_with_its_client_or_the_process(who: str) -> None:
    async with served() as live, httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        base = f"http://127.0.0.1:{live.port}/socket.io/?{QUERY}polling"
        mine = f"{base}&sid={json.loads((await http.get(base)).text[1:])['sid']}"
        await http.post(mine, content=f'40{{"token":"{READER}"}}')
        while "subscribed" not in (await http.get(mine)).text:
            continue
        waiting = asyncio.create_task(http.get(mine))
        assert not (await asyncio.wait([waiting], timeout=0.3))[0]
        if who == "the client":
            waiting.cancel()
        else:
            live.server.should_exit = True
        await nobody_left(live)
        await asyncio.wait([waiting])
