"""A log reader that sums sample values per partition in MongoDB, exactly once: one transaction per commit, fenced by
compare-and-set. Run as a program it is one member of a group; tests import the handler.

    python counting_reader.py <settings json> <topic identity json> <group>
"""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo.errors import ConnectionFailure, DuplicateKeyError
from vigie_contracts.samples import decode
from vigie_runtime import clients, logging
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.errors import Fenced, Retryable
from vigie_runtime.settings import Settings


@contextmanager
def passing() -> Iterator[None]:
    """A MongoDB that is away for longer than the client looks for it comes back, as for every handler."""
    try:
        yield
    except ConnectionFailure as e:
        raise Retryable(str(e)) from e


class CountingHandler:
    def __init__(self, db: clients.Database) -> None:
        self.db = db
        self.owned: dict[int, dict[str, Any]] = {}
        self.lost: list[tuple[int, int, int]] = []
        self.calls: list[tuple[str, Any]] = []
        self.first_offsets: dict[int, int] = {}

    async def assigned(self, partition: int) -> int | None:
        self.calls.append(("assigned", partition))
        with passing():
            stored = await self.db.sums.find_one({"_id": partition})
        next_ = stored["next"] if stored else None
        self.owned[partition] = {"stored": next_, "next": next_, "count": 0, "sum": 0.0}
        return next_

    async def records(self, partition: int, records: Sequence[clients.KafkaRecord]) -> None:
        state = self.owned[partition]
        for record in records:
            assert state["next"] is None or record.offset >= state["next"], "a record came twice"
            batch = decode(record.value)
            state["count"] += len(batch)
            state["sum"] += float(batch.values.sum())
            state["next"] = record.offset + 1
        if state["count"] >= 20_000:
            await self.commit(partition)

    async def tick(self) -> None:
        for partition in list(self.owned):
            await self.commit(partition)

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.calls.append(("revoked", tuple(partitions)))
        for partition in self.owned.keys() & set(partitions):  # the others were never loaded
            await self.commit(partition)
            del self.owned[partition]

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        self.lost.append((partition, stored, start))
        self.owned[partition]["next"] = start

    def committed(self, partition: int) -> int | None:
        return self.owned[partition]["stored"] if partition in self.owned else None

    async def commit(self, partition: int) -> None:
        state = self.owned[partition]
        if state["next"] == state["stored"]:
            return

        async def transaction(session: Any) -> None:
            step = {"$set": {"next": state["next"]}, "$inc": {"count": state["count"], "sum": state["sum"]}}
            if state["stored"] is None:
                try:
                    await self.db.sums.insert_one(
                        {"_id": partition, "next": state["next"], "count": state["count"], "sum": state["sum"]},
                        session=session,
                    )
                except DuplicateKeyError:
                    raise Fenced(partition) from None
            else:
                done = await self.db.sums.update_one({"_id": partition, "next": state["stored"]}, step, session=session)
                if done.modified_count != 1:
                    raise Fenced(partition)

        with passing():
            async with self.db.client.start_session() as session:
                await session.with_transaction(transaction)
        state.update(stored=state["next"], count=0, sum=0.0)


async def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    identity = TopicIdentity(**json.loads(sys.argv[2]))
    logging.configure("counting-reader", "info")
    client = clients.mongo(settings)
    reader = LogReader(
        lambda: clients.kafka_consumer(settings, client_id="counting", group_id=sys.argv[3]),
        identity,
        CountingHandler(client[settings.mongodb_database]),
        tick_s=0.2,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.stop)
    await reader.run()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
