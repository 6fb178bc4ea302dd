"""What was sent and means nothing to Vigie: the item is taken, and the answer's `warnings` name what was ignored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Final, Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Meta, Raw, Struct
from vigie_contracts.problems import MAX_FIELD_CHARS, MAX_WARNINGS, ItemProblem

from vigie_ingest.errors import RejectedItem

T = TypeVar("T", bound=Struct)

MAX_PER_ITEM: Final = 10
_members: Final = msgspec.json.Decoder(dict[str, Raw])

Warnings = Annotated[list[ItemProblem], Meta(max_length=MAX_WARNINGS)]


class Ignored(NamedTuple):
    """A field of one item, and why it had no effect, in a sentence for the sender."""

    field: str
    detail: str


class FieldReader(Generic[T]):
    """Decodes objects of one type, and names the members that it has no field for. Those who send none of these, nearly
    all, pay nothing for it: the strict decoder costs the same as the other."""

    def __init__(self, type_: type[T], what: str) -> None:
        """`what` is such an object to a sender: `a metric`."""
        self.decode = msgspec.json.Decoder(type_).decode
        strict = msgspec.defstruct(type_.__name__, [], bases=(type_,), forbid_unknown_fields=True)
        self.strict = cast("type[T]", strict)
        self._strict = msgspec.json.Decoder(self.strict).decode
        self._known = frozenset(field.encode_name for field in msgspec.structs.fields(type_))
        self._detail = f"is not a field of {what}: it was ignored"

    def read(self, data: bytes) -> tuple[T, Sequence[Ignored]]:
        """An object, and what was ignored of it. Raises what msgspec raises."""
        try:
            return self._strict(data), ()
        except msgspec.ValidationError:  # also for what is wrong with a field: then the other decoder raises as well
            return self.decode(data), self.ignored(data)

    def ignored(self, data: bytes, known: Iterable[str] = ()) -> list[Ignored]:
        """What is ignored of an object that `decode` takes: the first members that neither have a field nor are
        `known`."""
        known = self._known.union(known)
        return self.named(name for name in _members.decode(data) if name not in known)

    def named(self, names: Iterable[str]) -> list[Ignored]:
        """The first of these members, which all have no field."""
        return [Ignored(name[:MAX_FIELD_CHARS], self._detail) for name in islice(names, MAX_PER_ITEM)]


def warn(warnings: list[ItemProblem], index: int | None, ignored: Iterable[Ignored]) -> None:
    """Add what was ignored of the item at this index (None: beside the items), as far as there is room."""
    for one in ignored:
        if len(warnings) < MAX_WARNINGS:
            warnings.append(ItemProblem(index, *one))


def warnings_of(ignored: Iterable[Ignored]) -> Warnings:
    """What was ignored of the only item of a request."""
    return [ItemProblem(0, *one) for one in ignored]


def of_taken(warnings: Sequence[ItemProblem], rejected: Sequence[RejectedItem]) -> Sequence[ItemProblem]:
    """The warnings about items that were taken, in their order after those about what stands beside the items: a
    refused one has its error."""
    if not warnings:
        return ()
    refused = {item.index for item in rejected}
    return sorted(
        (one for one in warnings if one.index not in refused), key=lambda one: -1 if one.index is None else one.index
    )
