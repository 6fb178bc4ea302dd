"""Configuration that tenants call by names of their own: maintenance windows, inhibitions, time intervals."""

from __future__ import annotations

import unicodedata
from typing import Any, Final, Generic, TypeVar

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import NotFound
from vigie_query.errors import InvalidParameter
from vigie_storage.alerts.configuration import Configuration, Stored

from vigie_alerting.configbook import Configbook

T = TypeVar("T", bound=msgspec.Struct)
MAX_NAME_CHARS: Final = 128


class Named(Generic[T]):
    """Of one kind. All methods raise StoreUnavailable."""

    def __init__(
        self, store: Configuration[T], book: Configbook[T], what: str, *, changed: Action, deleted: Action
    ) -> None:
        """`what`: what one of them is called."""
        self._store, self._book, self._what = store, book, what
        self._changed, self._deleted = changed, deleted

    async def all(self, tenant: TenantId) -> list[Stored[T]]:
        """By name."""
        return await self._store.all(tenant)

    async def get(self, tenant: TenantId, name: str) -> Stored[T]:
        """Raises NotFound."""
        found = await self._store.get(tenant, normalized(name))
        if found is None:
            raise NotFound(self._what)
        return found

    async def put(
        self, tenant: TenantId, name: str, value: T, by: Actor, *, if_version: int | None = None, **changes: Any
    ) -> Stored[T]:
        """Make it, or put the value in its place; `if_version` 0: it must be new. Raises InvalidParameter,
        ConfigurationConflict, LimitReached."""
        checked = name_of(name)
        return await self._book.put(tenant, checked, value, by, self._changed, if_version=if_version, **changes)

    async def remove(self, tenant: TenantId, name: str, by: Actor, *, if_version: int | None = None) -> None:
        """Raises NotFound, ConfigurationConflict."""
        if await self._book.delete(tenant, normalized(name), by, self._deleted, if_version=if_version) is None:
            raise NotFound(self._what)


def name_of(text: str) -> str:
    """As it is stored. Raises InvalidParameter."""
    name = normalized(text)
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidParameter("name", f"must have 1 to {MAX_NAME_CHARS} printable characters")
    return name


def normalized(text: str) -> str:
    """As a name is compared, and any short text is kept."""
    return unicodedata.normalize("NFC", text).strip()
