"""What names a tenant, and that a UUID names the same one in either case."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.tenants import tenant_id

UUID_TEXT = "550e8400-e29b-41d4-a716-44665544abcd"


@given(st.uuids())
def test_a_uuid_is_one_tenant_in_any_case(uuid: UUID) -> None:
    mixed = "".join(c.upper() if i % 2 else c for i, c in enumerate(str(uuid)))
    assert tenant_id(str(uuid)) == tenant_id(str(uuid).upper()) == tenant_id(mixed) == str(uuid)


@pytest.mark.parametrize("text", ["Acme", "ACME-1", UUID_TEXT.upper() + "x", UUID_TEXT.upper()[1:], "A" * 36])
def test_other_names_keep_their_case(text: str) -> None:
    assert tenant_id(text) == text


@pytest.mark.parametrize("text", ["", "_platform", " " + UUID_TEXT, UUID_TEXT + "\n", "a" * 65, None, 7, "é"])
def test_what_is_no_name_is_none(text: object) -> None:
    assert tenant_id(text) is None
