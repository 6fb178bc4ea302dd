"""A commit is bounded by the bytes that it writes."""

from __future__ import annotations

from vigie_aggregator.samples.handler import Limits
from vigie_aggregator.samples.sizes import nbytes
from vigie_contracts.tiers import TIERS
from vigie_storage.partitions.store import Transaction

from services.aggregator.tests.doubles import handler, record
from services.aggregator.tests.test_handler import NOW, counted, parts


async def test_commits_are_bounded_by_the_bytes_of_their_documents() -> None:
    store, catalogue, clock, sent = parts()
    largest, limit = 0, 20_000
    commit = store.commit

    async def measured(transaction: Transaction) -> None:
        nonlocal largest
        largest = max(largest, sum(nbytes(window) for windows in transaction.windows.values() for window in windows))
        await commit(transaction)

    store.commit = measured  # pyright: ignore[reportAttributeAccessIssue]
    it = handler(store, catalogue, clock, sent, limits=Limits(commit_bytes=limit))
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    await it._commit(it._state(0), TIERS)
    await it.records(0, [record(n, [(7, NOW - 10_000 * n, 1.0)]) for n in range(1, 400)])
    await it.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [400, 400, 400]
    assert limit / 4 < largest < 1.2 * limit
