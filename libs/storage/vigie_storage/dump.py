"""A whole database in files, as `mongodump` writes them, and back.

`<directory>/<collection>.bson` holds the documents one after the other, `<collection>.metadata.json` the options and
indexes. `mongorestore --db NAME DIRECTORY` reads both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bson import json_util
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure, PyMongoError
from vigie_runtime.clients import Database
from vigie_runtime.errors import VigieError, reason_of

from vigie_storage import mongo
from vigie_storage.collections import RESTORES
from vigie_storage.mongo import Session

DOCUMENTS: Final = ".bson"
METADATA: Final = ".metadata.json"
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
"""What MongoDB takes, and what it allows itself beyond it."""
_LENGTH_BYTES: Final = 4
_MIN_DOCUMENT_BYTES: Final = 5
_BATCH_DOCUMENTS: Final = 1_000
_BATCH_BYTES: Final = 8 * 1024 * 1024
_SNAPSHOT_TOO_OLD: Final = 239
_SNAPSHOT_UNAVAILABLE: Final = 246


class DumpError(VigieError):
    """The database could not be read or written as a whole; the text says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Dumped:
    """One collection in its file."""

    documents: int
    sha256: str


async def dump(db: Database, directory: Path, session: Session) -> dict[str, Dumped]:
    """Write all collections of the database into the directory; by name, what there is of each.

    `session` is one of snapshots (`start_session(snapshot=True)`): whatever is read in it, here and by the caller, is
    of one moment. Raises DumpError."""
    try:
        names = await db.list_collection_names(filter={"type": "collection"})
        written: dict[str, Dumped] = {}
        for name in sorted(one for one in names if not one.startswith("system.") and one != RESTORES.name):
            written[name] = await _write(db[name], directory / f"{name}{DOCUMENTS}", session)
            metadata = {"collectionName": name, "type": "collection", **await _metadata(db[name])}
            (directory / f"{name}{METADATA}").write_text(json_util.dumps(metadata), encoding="utf-8")
    except PyMongoError as e:
        raise DumpError(_sentence(e)) from e
    return written


async def load(db: Database, directory: Path, names: Iterable[str]) -> None:
    """Write these collections, as `dump` wrote them, into a database that has none of them. Raises DumpError.

    After a failure some of it is there."""
    try:
        for name in names:
            file = directory / f"{name}{DOCUMENTS}"
            metadata = json_util.loads((directory / f"{name}{METADATA}").read_text(encoding="utf-8"))
            collection = await db.create_collection(name, **metadata["options"])
            for batch in _batches(file):
                await collection.insert_many(batch, ordered=False)
            indexes = [one for one in metadata["indexes"] if one["name"] != "_id_"]
            if indexes:
                await db.command({"createIndexes": name, "indexes": indexes})
    except (OSError, KeyError, ValueError, json.JSONDecodeError) as e:
        raise DumpError(f"the files in {directory} are damaged: {reason_of(e)}") from e
    except PyMongoError as e:
        raise DumpError(f"MongoDB does not take what was saved: {reason_of(e)}") from e


def documents(file: Path) -> Iterator[bytes]:
    """The documents of a file, as they are stored. Raises ValueError where it is cut short or no BSON."""
    with file.open("rb") as stream:
        while head := stream.read(_LENGTH_BYTES):
            size = int.from_bytes(head, "little")
            if len(head) < _LENGTH_BYTES or not _MIN_DOCUMENT_BYTES <= size <= MAX_DOCUMENT_BYTES:
                raise ValueError(f"{file.name}: a document of {size} bytes")
            rest = stream.read(size - _LENGTH_BYTES)
            if len(rest) < size - _LENGTH_BYTES:
                raise ValueError(f"{file.name} ends within a document")
            yield head + rest


def sha256(file: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def _write(collection: AsyncCollection[Any], file: Path, session: Session) -> Dumped:
    count, digest = 0, hashlib.sha256()
    with file.open("xb") as stream:
        async for raw in collection.find_raw_batches({}, session=session):
            part = cast("bytes", raw)
            count += _count(part)
            digest.update(part)
            stream.write(part)
    return Dumped(count, digest.hexdigest())


def _count(documents: bytes) -> int:
    count = at = 0
    while at < len(documents):
        at += int.from_bytes(documents[at : at + _LENGTH_BYTES], "little")
        count += 1
    return count


async def _metadata(collection: AsyncCollection[Any]) -> dict[str, Any]:
    indexes = [
        {key: value for key, value in one.items() if key != "ns"} async for one in await collection.list_indexes()
    ]
    return {"options": await collection.options(), "indexes": indexes}


def _batches(file: Path) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents(file):
        if batch and (len(batch) >= _BATCH_DOCUMENTS or size + len(document) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(RawBSONDocument(document))
        size += len(document)
    if batch:
        yield batch


def _sentence(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure) and error.code in (_SNAPSHOT_TOO_OLD, _SNAPSHOT_UNAVAILABLE):
        return (
            "MongoDB does not keep the moment any more that is being saved, because reading everything took too long: "
            "set its parameter minSnapshotHistoryWindowInSeconds (300 by default) to more seconds than that takes"
        )
    if mongo.passing(error):
        return f"MongoDB went away: {reason_of(error)}"
    return f"MongoDB refuses: {reason_of(error)}"
