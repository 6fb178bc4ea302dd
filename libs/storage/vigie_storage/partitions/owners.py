"""Who commits a partition: the one who takes it over ends what its owner before left open."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import OperationFailure
from vigie_contracts.days import to_datetime
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock

from vigie_storage import collections, mongo
from vigie_storage.mongo import Session
from vigie_storage.partitions.document import partition_id
from vigie_storage.tenancy import shared

log = logging.get(__name__)


class Owners:
    """owners  {_id: "<topic>/<partition>", session, others, updated}: the server session that the owner commits in, and
    others of its process, in which it does what is not about partitions"""

    def __init__(self, db: Database, topic: str, clock: Clock) -> None:
        self._owners = shared(db, collections.OWNERS).with_options(write_concern=mongo.DURABLE)
        self._admin = db.client.admin
        self._topic = topic
        self._clock = clock

    async def take_over(self, partition: int, session: Session, others: Sequence[Session] = ()) -> None:
        """End the transactions that an owner killed in the middle of them left open. The server would keep their locks,
        and so refuse every commit of the partition, for a minute. It guards nothing, it only speeds up. `others`: those
        of this process that its successor is to end too."""
        session_id = session.session_id["id"]
        further = [one.session_id["id"] for one in others]
        # A durable write: what is read in this session afterwards is not older than it.
        before = await self._owners.find_one_and_update(
            {"_id": partition_id(self._topic, partition)},
            {"$set": {"session": session_id, "others": further, "updated": to_datetime(self._clock.now_ms())}},
            upsert=True,
            session=session,
        )
        if before is None or before["session"] == session_id:
            return
        try:
            left = [before["session"], *before.get("others", ())]
            await self._admin.command("killSessions", [{"id": one} for one in left])
        except OperationFailure as e:
            if mongo.passing(e):
                raise
            log.warning("the session of the owner before could not be ended", partition=partition, error=str(e))
