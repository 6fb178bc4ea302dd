"""Configuration by names that tenants choose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from vigie_alerting.named import Named
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import NotFound

ACME, BY = TenantId("acme"), Actor("u1", "alice")
NAME, WRITTEN = "\u00e9t\u00e9", " e\u0301te\u0301"


class Kept:
    """A store, and what changes it, of names alone."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    async def get(self, _tenant: TenantId, name: str) -> str | None:
        return name if name in self.names else None

    async def put(self, _tenant: TenantId, name: str, *_: Any, **__: Any) -> None:
        self.names.add(name)

    async def delete(self, _tenant: TenantId, name: str, *_: Any, **__: Any) -> str | None:
        found = name if name in self.names else None
        self.names.discard(name)
        return found


async def test_a_name_is_found_and_removed_however_its_letters_are_written() -> None:
    kept: Any = Kept()
    named = Named[msgspec.Struct](
        kept, kept, "thing", changed=Action.INHIBITION_CHANGED, deleted=Action.INHIBITION_DELETED
    )
    await named.put(ACME, WRITTEN, msgspec.Struct(), BY)
    assert kept.names == {NAME}
    for text in (NAME, WRITTEN):
        assert await named.get(ACME, text) == NAME
    await named.remove(ACME, WRITTEN, BY)
    assert kept.names == set()
    for text in (WRITTEN, "", "x" * 200):
        with pytest.raises(NotFound):
            await named.get(ACME, text)
        with pytest.raises(NotFound):
            await named.remove(ACME, text, BY)
