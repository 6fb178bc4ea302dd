"""Live streams of processes of two releases, followed side by side: both tell every step of every alert."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import httpx2 as httpx

from tests.kit.wait import eventually

FOLLOWED_S = 30.0


async def followed(urls: Sequence[str], traffic: Callable[[], AbstractAsyncContextManager[None]]) -> int:
    """How many alerts were told by the streams at all of these processes. Raises AssertionError when one tells less."""
    heard: list[set[str]] = [set() for _ in urls]
    open_ = [asyncio.Event() for _ in urls]
    async with httpx.AsyncClient(timeout=FOLLOWED_S, trust_env=False) as client:
        tasks = [asyncio.create_task(_follow(client, *one)) for one in zip(urls, heard, open_, strict=True)]
        try:
            async with asyncio.timeout(FOLLOWED_S):
                for event in open_:
                    await event.wait()
            async with traffic():
                pass
            await eventually(lambda: bool(heard[0]) and all(one == heard[0] for one in heard), FOLLOWED_S)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
    return len(heard[0])


async def _follow(client: httpx.AsyncClient, url: str, heard: set[str], opened: asyncio.Event) -> None:
    async with client.stream("GET", f"{url}/api/stream?channel=alerts") as stream:
        assert stream.status_code == 200, await stream.aread()
        event = ""
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                opened.set()
                if event == "alert":  # what was open before comes as `alerts`
                    heard.add(json.loads(line.removeprefix("data:"))["data"]["labels"]["host"])
