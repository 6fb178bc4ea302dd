"""Pages of lists: bounded, in the order of one unique field, continued by an opaque cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from vigie_runtime.clients import Document
from vigie_storage.mongo import bounded
from vigie_storage.tenancy import TenantView

from vigie_identity.errors import InvalidField

T = TypeVar("T")
MAX_PAGE: Final = 1_000
DEFAULT_PAGE: Final = 100
_MAX_CURSOR_CHARS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `cursor` asks for the next page; None: this is the last one."""

    items: list[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a client asks for. Raises InvalidField for an invalid limit or cursor."""

    limit: int = DEFAULT_PAGE
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidField("limit", f"must be 1 to {MAX_PAGE}")
        self.after()

    def after(self) -> str | None:
        """The value of the field that the page begins after."""
        return None if self.cursor is None else _decode(self.cursor)


async def page(
    documents: TenantView, request: PageRequest, field: str, make: Callable[[Document], T], *, descending: bool = False
) -> Page[T]:
    """Read a page of a tenant's documents in the order of `field`, which is a unique text. Raises StoreUnavailable."""
    after = request.after()
    query: dict[str, Any] = {} if after is None else {field: {"$lt" if descending else "$gt": after}}
    with bounded():
        found = await documents.first(query, field, request.limit + 1, descending=descending)
    return cut(found, request, field, make)


def cut(found: Sequence[Document], request: PageRequest, field: str, make: Callable[[Document], T]) -> Page[T]:
    """Make the page from documents of which one more was read than the limit."""
    shown = found[: request.limit]
    more = len(found) > request.limit
    return Page([make(document) for document in shown], _encode(str(shown[-1][field])) if more else None)


def _encode(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()


def _decode(cursor: str) -> str:
    try:
        if len(cursor) > _MAX_CURSOR_CHARS:
            raise ValueError("longer than any that was given")
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidField("cursor", "is not one that an earlier answer gave") from None
