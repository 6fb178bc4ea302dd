"""What a Socket.IO client can make the server keep, and what is left when it goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from websockets.asyncio.client import connect

from tests.kit import eventually

from .served import READER, Served, nobody_left, served

STRANGER = {"x-forwarded-for": "192.0.2.7"}
JOIN = f'40{{"token":"{READER}"}}'
ENDS = (
    [], ["40"], ['40{"token":"forged"}'], [JOIN, "41"], ["z"], ["1"], [JOIN, "40"], [JOIN, '42["subscribe","system"]'],
)  # fmt: skip


class Polling:
    """A client that polls, joined to the namespace `/`."""

    def __init__(self, http: httpx2.AsyncClient, address: str) -> None:
        self.http, self.address = http, address

    async def read(self, until: str) -> None:
        while until not in (await self.http.get(self.address)).text:
            continue

    async def send(self, *packets: str) -> int:
        return (await self.http.post(self.address, content="\x1e".join(packets))).status_code


async def handshake(http: httpx2.AsyncClient, live: Served, **headers: str) -> httpx2.Response:
    return await http.get(f"http://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=polling", headers=headers)


@asynccontextmanager
async def polling(live: Served) -> AsyncIterator[Polling]:
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        answer = await handshake(http, live)
        client = Polling(http, f"{answer.url}&sid={json.loads(answer.text[1:])['sid']}")
        await client.send(JOIN)
        await client.read("subscribed")
        yield client


class Gate:
    """Holds up the opening of a topic."""

    def __init__(self, live: Served, channel: str) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self._channel: Any = live.hub.channels[channel]
        self._really = self._channel.open
        self._channel.open = self

    async def __call__(self, topic: Any) -> Any:
        self.reached.set()
        await self.open.wait()
        return await self._really(topic)


async def test_nothing_is_kept_of_channels_that_are_none() -> None:
    async with served() as live, polling(live) as client:
        for number in range(20):
            await client.send(f'42["subscribe",{{"type":"weather {number}"}}]', '42["subscribe",{"type":"health"}]')
        (kept,) = live.socket_io._clients.values()
        assert kept.own | kept.kpi == {"alerts"}


async def test_who_goes_while_it_subscribes_leaves_nothing_behind() -> None:
    async with served() as live:
        gate = Gate(live, "system")
        async with polling(live) as client:
            asking = asyncio.create_task(client.send('42["subscribe",{"type":"system"}]'))
            await gate.reached.wait()
            await client.send("41")
            await nobody_left(live)
            gate.open.set()
            await asking
        await eventually(lambda: not live.hub.topics)


async def test_who_goes_while_it_joins_leaves_nothing_behind() -> None:
    async with served() as live, httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        asked, known, really = asyncio.Event(), asyncio.Event(), live.callers.credential

        async def slowly(sent: bytes, quota: object = None) -> Any:
            asked.set()
            await known.wait()
            return await really(sent, quota)

        live.callers.credential = slowly  # type: ignore[method-assign]
        answer = await handshake(http, live)
        client = Polling(http, f"{answer.url}&sid={json.loads(answer.text[1:])['sid']}")
        joining = asyncio.create_task(client.send(JOIN))
        await asked.wait()
        await client.send("1")
        known.set()
        assert await joining in (200, 400)
        await nobody_left(live)
        assert not live.socket_io._clients


async def test_requests_side_by_side_have_no_more_subscriptions_than_one_after_the_other() -> None:
    async with served(push_subscriptions=2) as live, polling(live) as client:
        gate = Gate(live, "system")
        asking = [
            asyncio.create_task(client.send(f'42["subscribe",{{"type":"{name}"}}]')) for name in ("system", "business")
        ]
        await gate.reached.wait()
        await asyncio.wait(asking[1:], timeout=0.3)
        gate.open.set()
        await asyncio.gather(*asking)
        (session,) = live.sessions
        assert len(session.subscriptions) == 2


async def test_who_sends_and_never_polls_is_ended() -> None:
    async with served(push_buffer=10, push_messages_per_s=100_000) as live, polling(live) as client:
        most = 0
        async with asyncio.timeout(10):
            while len(live.sessions):
                most = max([most, *(socket.queue.qsize() for socket in live.socket_io._engine.eio.sockets.values())])
                await client.send(*['420["unsubscribe",{"type":"system"}]'] * 16)
        assert most < 120
        await nobody_left(live)


async def test_those_of_an_address_that_do_not_say_who_they_are_are_few() -> None:
    bounds: dict[str, Any] = {"push_user_connections": 3, "trusted_proxies": "127.0.0.1", "push_auth_timeout_s": 1.0}
    async with served(**bounds) as live, httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        answers = [(await handshake(http, live, **STRANGER)).status_code for _ in range(5)]
        assert answers == [200, 200, 200, 401, 401]
        other = await handshake(http, live, **{"x-forwarded-for": "192.0.2.8"})
        assert other.status_code == 200
        await eventually(lambda: not live.socket_io._engine.eio.sockets)  # they said nothing in time
        assert not live.socket_io._silent
        assert (await handshake(http, live, **STRANGER)).status_code == 200


async def test_nothing_is_left_of_clients_that_go_in_every_way() -> None:
    async with served(push_auth_timeout_s=0.3, push_recheck_s=0.1) as live:
        address = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
        for packets in ENDS:
            for abruptly in (True, False):
                async with connect(address, proxy=None, additional_headers=STRANGER) as socket:
                    for packet in packets:
                        await socket.send(packet)
                    if abruptly:
                        socket.transport.abort()
        await nobody_left(live)
        engine, io = live.socket_io._engine, live.socket_io
        await eventually(lambda: not engine.eio.sockets and not io._sockets and not io._ends)
        assert not io._taken | io._silent
        assert not io._expelled
        await eventually(lambda: not live.hub.topics)
