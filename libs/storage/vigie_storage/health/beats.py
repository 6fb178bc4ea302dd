"""When heartbeats were last heard. Of their tokens only the hashes are known.

health_beats  {_id: the hash of the token, tenant, target, at, failed, code}

`at` is Unix milliseconds, 0 until the first one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

MAX_TOKEN_CHARS: Final = 64
"""Of what may be one."""


class TokenTaken(VigieError):  # noqa: N818 - named after what is wrong
    """Another target is heard of by this token."""

    def __init__(self) -> None:
        super().__init__("the token cannot be taken")


def new_token() -> str:
    """A token for a heartbeat; safe in a URL, and not to be guessed."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Beat:
    """What was last heard of a target. Times are Unix milliseconds."""

    target: str
    tenant: TenantId
    at_ms: int
    """0: nothing yet."""
    failed: bool = False
    """It said itself that it has failed."""
    code: int | None = None
    """Its exit code, if it said one."""
    since_ms: int = 0
    """When the token was made."""


class Beats:
    """The collection `health_beats`. All methods raise StoreUnavailable, but in a session."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.HEALTH_BEATS)

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()

    async def expect(self, tenant: TenantId, target: str, token: str, at_ms: int, session: Session) -> None:
        """From now on the target is heard of by this token, and by no other one. Raises TokenTaken."""
        await self.remove(tenant, target, session)
        fields = {"target": target, "at": 0, "failed": False, "since": at_ms}
        try:
            await self._store.of(tenant).insert({"_id": _hash(token), **fields}, session)
        except DuplicateKeyError as e:
            raise TokenTaken from e

    async def hear(self, token: str, at_ms: int, *, failed: bool = False, code: int | None = None) -> Beat | None:
        """A beat has come. None: nobody has this token; that takes as long to find out as that somebody has."""
        # Not the greatest time: after a clock that was ahead for a moment nothing would ever be late again.
        update = {"$set": {"at": at_ms, "failed": failed, "code": code}}
        with bounded():
            found = await self._store.across(Why.AUTHENTICATE).find_one_and_update(
                {"_id": _hash(token)}, update, return_document=True
            )
        return None if found is None else _beat(found)

    async def last(self, target: str) -> Beat | None:
        """Of a target, whose ever it is. None: none is expected."""
        with bounded():
            found = await self._store.across(Why.PROBE).find_one({"target": exactly(target)})
        return None if found is None else _beat(found)

    async def expects(self, tenant: TenantId, target: str, token: str) -> bool:
        """Whether the target is heard of by this token."""
        with bounded():
            query = {"_id": _hash(token), "target": exactly(target)}
            return await self._store.of(tenant).one(query) is not None

    async def remove(self, tenant: TenantId, target: str, session: Session) -> None:
        """None is expected any more."""
        await self._store.of(tenant).remove({"target": exactly(target)}, session)


def _beat(document: Mapping[str, Any]) -> Beat:
    return Beat(
        document["target"],
        TenantId(document["tenant"]),
        document["at"],
        document["failed"],
        document.get("code"),
        document["since"],
    )


def _hash(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()
