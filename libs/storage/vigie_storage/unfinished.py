"""What was begun on a database and is not done: while it is so, no service starts on it.

restores  {_id: "unfinished", begun}: a backup is being restored
          {_id: "partitions", begun, before, after, checked}: partitions are being divided; `checked` once it is known
          that nobody else works on the database
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vigie_runtime.clients import Database
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.tenancy import shared

RESTORE: Final = "unfinished"
DIVISION: Final = "partitions"


class Unfinished(VigieError):  # noqa: N818 - named after what is wrong
    """Nobody may use the database yet."""


class RestoreUnfinished(Unfinished):
    """A backup was restored in part."""

    def __init__(self, database: str, begun: datetime) -> None:
        super().__init__(
            f"the database {database} holds part of a backup, whose restore began at {begun:%Y-%m-%d %H:%M:%S} UTC and "
            "is not done: wait for it, or begin anew with `vigie restore DIRECTORY --replace`"
        )


class DivisionUnfinished(Unfinished):
    """Partitions were divided in part."""

    def __init__(self, database: str, begun: datetime, after: int) -> None:
        super().__init__(
            f"the database {database} is being divided into {after} partitions, since {begun:%Y-%m-%d %H:%M:%S} UTC: "
            f"wait for it, or go on with `vigie partitions {after}` if it was interrupted"
        )


async def refuse_unfinished(db: Database) -> None:
    """Raises Unfinished."""
    async for known in shared(db, collections.RESTORES).find({"_id": {"$in": [RESTORE, DIVISION]}}):
        if known["_id"] == RESTORE:
            raise RestoreUnfinished(db.name, known["begun"])
        raise DivisionUnfinished(db.name, known["begun"], known["after"])
