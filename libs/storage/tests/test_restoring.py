"""No service starts on half a backup, and what compacted topics carry is published again."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.topics import RULES
from vigie_runtime.settings import Settings
from vigie_storage import restoring, topics
from vigie_storage.partitions import document
from vigie_storage.partitions.document import FirstUse
from vigie_storage.restoring import NotEmpty
from vigie_storage.unfinished import RestoreUnfinished, refuse_unfinished

Db = AsyncDatabase[dict[str, Any]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_what_is_there_is_given_up_only_when_that_is_said(database: Db) -> None:
    await database["things"].insert_one({"_id": 1})
    with pytest.raises(NotEmpty, match="it has 1 collections"):
        await restoring.begin(database, NOW, replace=False)
    assert await database["things"].count_documents({}) == 1
    await restoring.begin(database, NOW, replace=True)
    assert await database.list_collection_names() == ["restores"]


async def test_no_service_starts_until_the_restore_is_done(database: Db) -> None:
    nowhere = Settings(
        kafka_bootstrap_servers="127.0.0.1:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
    )
    await restoring.begin(database, NOW, replace=False)
    with pytest.raises(RestoreUnfinished, match=r"began at 2026-03-01 12:00:00 UTC.*--replace"):
        await topics.ensure(nowhere, [RULES], database)
    await restoring.finish(database)
    await refuse_unfinished(database)


async def test_what_compacted_topics_carry_is_published_again(database: Db) -> None:
    await database["alert_rules"].insert_many(
        [
            {"_id": "kept", "tenant": "acme", "published": True, "deleted": False, "data": "{1}"},
            {"_id": "claimed", "tenant": "beta", "published": False, "deleted": False, "owner": "x", "data": "{2}"},
            {"_id": "gone", "tenant": "acme", "published": False, "deleted": True, "data": "{3}"},
        ]
    )
    assert await restoring.publish_again(database, RULES.word, NOW) == {"kept": b"{1}", "claimed": b"{2}"}
    async for one in database["alert_rules"].find():
        assert (one["published"], "owner" in one, one["due"].replace(tzinfo=UTC)) == (False, False, NOW)


async def test_a_key_is_known_by_the_record_that_carried_it_first(database: Db) -> None:
    own, other, unknown = b"a" * 16, b"b" * 16, b"c" * 16
    await database["requests"].insert_many(
        [
            document.key_document(3, own, (FirstUse(2, 70),), NOW),
            document.key_document(3, other, (FirstUse(1, 70),), NOW),
            document.key_document(4, unknown, (FirstUse(2, 70),), NOW),
        ]
    )
    async with database.client.start_session(snapshot=True) as session:
        found = await restoring.used_first(database, 3, (own, other, unknown), FirstUse(2, 70), session)
    assert found == {own}
