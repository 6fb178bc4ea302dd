"""Names that are looked up: one that never comes holds nobody else up."""

from __future__ import annotations

import asyncio
import threading

import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import Question, Way, ask
from vigie_healthcheck.probes.lookups import Lookups
from vigie_healthcheck.probes.registry import PROBES
from vigie_runtime.egress import Egress
from vigie_runtime.errors import Busy


class Names:
    """Those that begin with `slow` come when they may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may = threading.Event()

    def look(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.may.wait(20)
        if host.endswith("gone"):
            raise OSError("no such name")
        return ["192.0.2.1"]


async def test_names_that_hang_hold_no_other_up_and_are_looked_up_once() -> None:
    names = Names()
    lookups = Lookups(most=100, look=names.look)
    slow = [asyncio.ensure_future(lookups.addresses(f"slow{n // 2}.example", 1)) for n in range(100)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(lookups.addresses("fast.example", 1), 5) == ["192.0.2.1"]
    slow[0].cancel()
    names.may.set()
    with pytest.raises(asyncio.CancelledError):
        await slow[0]
    assert await asyncio.gather(*slow[1:]) == [["192.0.2.1"]] * 99, "who gave up does not take it from the others"
    assert sorted(names.asked) == sorted(["fast.example", *(f"slow{n}.example" for n in range(50))])


async def test_addresses_are_no_names_and_errors_are_told_each_time() -> None:
    names = Names()
    lookups = Lookups(look=names.look)
    assert await lookups.addresses("192.0.2.7", 1) == ["192.0.2.7"]
    assert await lookups.addresses("2001:DB8::1", 1) == ["2001:db8::1"]
    assert not names.asked
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await lookups.addresses("gone", 1)
    assert names.asked == ["gone", "gone"]


async def test_what_cannot_be_looked_up_for_others_is_not_the_targets_fault() -> None:
    names = Names()
    lookups = Lookups(most=1, look=names.look)
    slow = asyncio.ensure_future(lookups.addresses("slow.example", 1))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await lookups.addresses("other.example", 1)
    got = await ask(PROBES["tcp"], Question("tcp://other.example:1"), 5.0, Way(Egress(None, lookups.addresses)))
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the prober looks up too many names that do not come")
    names.may.set()
    await slow
