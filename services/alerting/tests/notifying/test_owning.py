"""What stores on its own account begins when somebody would end its transactions."""

from __future__ import annotations

import asyncio

import pytest
from vigie_alerting.notifying import start
from vigie_alerting.notifying.start import Owning
from vigie_runtime.lifespan import Lifespan

from tests.kit.wait import eventually


class Work:
    def __init__(self) -> None:
        self.begun = False
        self._stopping = asyncio.Event()
        self.stop = self._stopping.set

    async def run(self) -> None:
        self.begun = True
        await self._stopping.wait()


async def test_work_begins_when_rules_are_taken_over() -> None:
    async with Lifespan() as life:
        owning, work = Owning(), Work()
        owning.run(life, "work", work.run, work.stop)
        await asyncio.sleep(0)
        assert not work.begun
        owning.begin()
        await eventually(lambda: work.begun)


async def test_work_begins_without_rules_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "PATIENCE_S", 0.05)
    async with Lifespan() as life:
        owning, work = Owning(), Work()
        owning.run(life, "work", work.run, work.stop)
        await eventually(lambda: work.begun)


async def test_a_stop_does_not_wait_for_rules() -> None:
    async with asyncio.timeout(5), Lifespan() as life:
        owning, work = Owning(), Work()
        owning.run(life, "work", work.run, work.stop)
        await asyncio.sleep(0)
