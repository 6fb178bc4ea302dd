"""From so many partitions to a multiple of it: the order of the steps, and what is refused before the first."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from vigie_contracts.topics import DEAD, RULES, SAMPLES, TARGETS, TOPICS, Topic
from vigie_runtime import clients, logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import Database
from vigie_runtime.errors import Retryable, VigieError
from vigie_storage import collections, dividing, inspection, restoring
from vigie_storage.dividing import Dividing, Division
from vigie_storage.tenancy import shared
from vigie_storage.unfinished import refuse_unfinished

from vigie_standalone.backup import log
from vigie_standalone.backup.connecting import BackupSettings, settings
from vigie_standalone.backup.saving import Say
from vigie_standalone.errors import StandaloneError
from vigie_standalone.kafka_access import producing
from vigie_standalone.partitions.draining import NotCountedError, drain, waiting

COMPACTED: Final = (RULES, TARGETS)
"""Made anew: what an old partition of them says of a key would stay there."""
GONE_S: Final = 5.0
"""Connections of a process that has just ended may last so long."""
_LOOK_S: Final = 0.5
T = TypeVar("T")


class PartitionsError(StandaloneError):
    """Why the number was not changed."""


async def recorded(db: Database, known: BackupSettings) -> int:
    """How many partitions there are. Raises PartitionsError when no Vigie has run on the database."""
    found = await shared(db, collections.TOPICS).find_one({"_id": known.samples_topic})
    if found is None:
        raise PartitionsError(
            f"No Vigie has run on the database {db.name}: set VIGIE_PARTITIONS before its first start, that is all."
        )
    return int(found["partitions"])


def look(variables: Mapping[str, str]) -> int:
    """How many there are now. Raises StandaloneError."""
    logging.configure("vigie", "error")
    known = settings(variables)

    async def ask() -> int:
        async with _database(known) as (db, _):
            return await recorded(db, known)

    return _in_words(ask())


def change(variables: Mapping[str, str], after: int, say: Say) -> None:
    """Divide the partitions, so that there are `after`; go on with a division that was interrupted. Raises
    StandaloneError."""
    logging.configure("vigie", "error")
    _in_words(_change(variables, after, say))


def _in_words(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except VigieError as error:
        raise PartitionsError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


async def _change(variables: Mapping[str, str], after: int, say: Say) -> None:
    known = settings(variables)
    async with _database(known) as (db, own):
        with dividing.refusals():
            there = await dividing.begun(db)
            if there is not None and there.checked:
                if there.division.after != after:
                    await refuse_unfinished(db)
                await _refuse_others(db, own)
                say(f"going on from {there.division.before} to {after} partitions")
                await _Change(known, db, there.division, say).run()
                return
            if there is not None:  # it was interrupted before anything was changed
                await dividing.end(db)
            await refuse_unfinished(db)
            division = await _possible(db, known, after, say)
            if division is None:
                return
            held = {**variables, "VIGIE_PARTITIONS": str(division.before)}
            found = await _existing(known, division.before)
            await _refuse_others(db, own)
            await drain(known, held, db, found, say)
            await dividing.begin(db, division, datetime.now(UTC))
            try:  # again: somebody may have started between
                await _refuse_others(db, own)
                if sum((left := await waiting(known, db, found)).values()):
                    raise NotCountedError(left, "")
            except BaseException:
                await dividing.end(db)
                raise
            await dividing.check(db)
            await _Change(known, db, division, say).run()


async def _possible(db: Database, known: BackupSettings, after: int, say: Say) -> Division | None:
    before = await recorded(db, known)
    if before == after:
        say(f"There are {after} partitions already: nothing was changed.")
        return None
    try:
        division = Division(before, after)
    except ValueError as error:
        raise PartitionsError(f"Nothing was changed: {error}.") from None
    facts = await inspection.inspect(db)
    needed = await dividing.stored_bytes(db) * (after // before - 1)
    free = float(facts.stats.get("fsTotalSize", 0)) - float(facts.stats.get("fsUsedSize", 0))
    if "fsTotalSize" in facts.stats and needed > free:
        raise PartitionsError(
            f"Nothing was changed: windows are copied for each new partition, which takes {needed / 1e9:.1f} GB until "
            f"they expire, and MongoDB's disk has {free / 1e9:.1f} GB free. Give it more, or shorten the retention."
        )
    return division


async def _existing(known: BackupSettings, partitions: int) -> dict[str, TopicIdentity]:
    """The topics that exist, by their words. Raises PartitionsError when Kafka is another one, or has others."""
    admin = clients.kafka_admin(known)
    found: dict[str, TopicIdentity] = {}
    for topic, named in zip(TOPICS, topics.deployed(known), strict=True):
        try:
            identity = await asyncio.to_thread(topics.identify, admin, named.name)
        except Retryable as error:
            raise PartitionsError(f"Nothing was changed: {error}.") from None
        if identity is not None and topic is not DEAD:
            if identity.partitions != partitions:
                raise PartitionsError(
                    f"Nothing was changed: {named.name} has {identity.partitions} partitions in Kafka, and "
                    f"{partitions} are recorded. Make them the same first (docs/runbooks/partition-count.md)."
                )
            found[topic.word] = identity
    if SAMPLES.word not in found:
        raise PartitionsError(
            f"Nothing was changed: this Kafka has no topic {known.samples_topic}. Is it the right one?"
        )
    return found


async def _refuse_others(db: Database, own: str) -> None:
    until = time.monotonic() + GONE_S
    while there := await dividing.others(db, own):
        if time.monotonic() > until:
            raise PartitionsError(
                f"Nothing was changed: Vigie still runs on the database {db.name}, from {', '.join(there)} "
                "(connections). Stop all of its services: senders get errors meanwhile and keep their data."
            )
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _database(known: BackupSettings) -> AsyncIterator[tuple[Database, str]]:
    """The database, and the name by which its connections are ours. A copy may take as long as it takes."""
    own = dividing.own_name()
    client = clients.mongo(known, appname=own, answer_s=None)
    try:
        yield clients.database(client, known), own
    finally:
        await client.close()


@dataclass(frozen=True)
class _Change:
    """The steps that change something. Killed in any of them, all are done again."""

    known: BackupSettings
    db: Database
    division: Division
    say: Say

    async def run(self) -> None:
        """Documents first, of which nobody knows until the last step; then Kafka; then where series live."""
        steps, after = Dividing(self.db, self.division), self.division.after
        told = 0
        async for done, total in steps.windows():
            if (percent := 100 * done // max(1, total)) >= told + 10 or done == total:
                self.say(f"windows: {done} of {total} series")
                told = percent
        await steps.request_keys()
        self.say("request keys: copied")
        await steps.checkpoints(self.known.samples_topic)
        await steps.evaluated(self.known.rules_topic)
        await steps.ordinals()
        self.say("places in the log: copied")
        await self._topics()
        self.say(f"topics: {after} partitions")
        moved = await steps.move_series()
        self.say(f"series: {moved} moved")
        await steps.narrow_latest()
        self.say("latest values: divided")
        await steps.record([topic.name for topic in self._wanted()])
        await dividing.end(self.db)
        self.say(f"There are {after} partitions now. Set VIGIE_PARTITIONS={after} for all services, and start them.")

    async def _topics(self) -> None:
        names = self._names()
        compacted = [names[topic.word] for topic in COMPACTED]
        wanted = {topic.name: topic for topic in self._wanted()}
        await topics.grow(self.known, [topic for name, topic in wanted.items() if name not in compacted])
        admin = clients.kafka_admin(self.known)
        for name in compacted:
            there = await asyncio.to_thread(topics.identify, admin, name)
            if there is not None and there.partitions != self.division.after:
                await topics.delete(self.known, [name])
        await topics.make(self.known, [wanted[name] for name in compacted])
        async with producing(self.known, log.CLIENT) as producer:
            for topic in COMPACTED:
                for id_, value in (await restoring.published(self.db, topic.word)).items():
                    await producer.send_and_wait(names[topic.word], value, key=id_.encode())

    def _names(self) -> dict[str, str]:
        return {one.word: named.name for one, named in zip(TOPICS, topics.deployed(self.known), strict=True)}

    def _wanted(self) -> list[Topic]:
        known = self.known.model_copy(update={"partitions": self.division.after})
        return [named for one, named in zip(TOPICS, topics.deployed(known), strict=True) if one is not DEAD]
