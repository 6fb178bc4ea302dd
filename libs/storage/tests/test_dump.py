"""A database in files is the same database when it comes back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Int64, encode
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase
from vigie_storage import dump, restoring
from vigie_storage.dump import DumpError

Db = AsyncDatabase[dict[str, Any]]
DOCUMENTS = [
    {"_id": {"t": "acme", "c": Int64(2**40)}, "v": Binary(b"\x00\xff"), "at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"_id": "text", "nested": [{"a": 1.5}, None, True], "big": "x" * 100_000},
]


async def _rows(db: Db, name: str) -> list[bytes]:
    raw = db[name].with_options(codec_options=db.codec_options.with_options(document_class=RawBSONDocument))
    return sorted([bytes(one.raw) async for one in raw.find()])


async def test_what_was_written_comes_back_byte_for_byte_with_its_indexes(database: Db, tmp_path: Path) -> None:
    await database["things"].insert_many(DOCUMENTS)
    await database["many"].insert_many([{"_id": number, "n": number % 7} for number in range(2_500)])
    await database["many"].create_index([("n", 1), ("_id", -1)], partialFilterExpression={"n": {"$gt": 3}})
    await database["empty"].create_index("at", expireAfterSeconds=60)
    await database.create_collection("bare")
    async with database.client.start_session(snapshot=True) as session:
        written = await dump.dump(database, tmp_path, session)
    assert {name: one.documents for name, one in written.items()} == {"things": 2, "many": 2_500, "empty": 0, "bare": 0}
    assert all(dump.sha256(tmp_path / f"{name}.bson") == one.sha256 for name, one in written.items())

    other = database.client[f"{database.name}_back"]
    try:
        await dump.load(other, tmp_path, written)
        for name in written:
            assert await _rows(other, name) == await _rows(database, name)
            assert await other[name].index_information() == await database[name].index_information()
    finally:
        await database.client.drop_database(other.name)


async def test_all_of_it_is_of_one_moment(database: Db, tmp_path: Path) -> None:
    await database["a"].insert_one({"_id": 1})
    await database["b"].insert_one({"_id": 1})
    async with database.client.start_session(snapshot=True) as session:
        assert await database["a"].find_one({}, session=session) == {"_id": 1}
        await database["b"].insert_one({"_id": 2})
        await database["a"].delete_one({"_id": 1})
        written = await dump.dump(database, tmp_path, session)
    assert (written["a"].documents, written["b"].documents) == (1, 1)


async def test_a_restore_in_progress_is_no_part_of_a_dump(database: Db, tmp_path: Path) -> None:
    await restoring.begin(database, datetime.now(UTC), replace=False)
    async with database.client.start_session(snapshot=True) as session:
        assert await dump.dump(database, tmp_path, session) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode({"_id": 1})[:-3], "ends within a document"),
        (b"\x01\x00", "a document of 1 bytes"),
        (b"\xff\xff\xff\x7f....", "a document of 2147483647 bytes"),
        (b"\x04\x00\x00\x00", "a document of 4 bytes"),
    ],
)
async def test_a_damaged_file_is_refused_with_its_name(
    database: Db, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "things.bson").write_bytes(content)
    (tmp_path / "things.metadata.json").write_text(json.dumps({"options": {}, "indexes": []}), encoding="utf-8")
    with pytest.raises(DumpError, match=r"damaged.*things\.bson") as refused:
        await dump.load(database, tmp_path, ["things"])
    assert reason in str(refused.value)


async def test_a_collection_without_its_metadata_is_refused(database: Db, tmp_path: Path) -> None:
    (tmp_path / "things.bson").write_bytes(encode({"_id": 1}))
    with pytest.raises(DumpError, match="damaged"):
        await dump.load(database, tmp_path, ["things"])
