"""What a node says of itself: decoded, judged, and the report and the samples that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from vigie_contracts import names
from vigie_contracts import telemetry as contract
from vigie_contracts.json_bounds import Crossed, crossed
from vigie_contracts.series import Kind
from vigie_contracts.telemetry import Telemetry
from vigie_contracts.tenants import tenant_id
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.keys import report_id
from vigie_publishing.metric import UNREADABLE, Sample
from vigie_publishing.publishers import KeyedReport

from vigie_ingest.decoding import item_error, single_error
from vigie_ingest.errors import ItemRefusedError
from vigie_ingest.ignored import FieldReader, Ignored

_NOT_A_NUMBER: Final = ItemError(Reason.VALUE, "", f"must be a number between 0 and {contract.MAX_NUMBER:.0f}")
_KEYS: Final = ItemError(
    Reason.VALUE, contract.ADDITIONAL, f"has more than {contract.MAX_ADDITIONAL_KEYS} keys, all levels together"
)
_DEPTH: Final = ItemError(
    Reason.VALUE, contract.ADDITIONAL, f"is nested more than {contract.MAX_ADDITIONAL_DEPTH} levels deep"
)
_BYTES: Final = ItemError(
    Reason.VALUE, contract.ADDITIONAL, f"is longer than {contract.MAX_ADDITIONAL_BYTES} bytes as JSON"
)
_KEY: Final = ItemError(Reason.VALUE, contract.ADDITIONAL, "has a key that holds a NUL character")
_INTEGER: Final = ItemError(Reason.VALUE, contract.ADDITIONAL, "holds an integer that does not fit 64 bits")
_CROSSED_BOUNDS: Final = {
    Crossed.KEYS: _KEYS,
    Crossed.DEPTH: _DEPTH,
    Crossed.NUL: _KEY,
    Crossed.INTEGER: _INTEGER,
}


class TelemetryDto(Telemetry, kw_only=True):
    """The body of `POST /telemetry`, as the replaced service names it. Unknown fields are ignored, with a warning."""

    tenant_id: str


class _Whose(msgspec.Struct, rename="camel"):
    tenant_id: str


_whose: Final = msgspec.json.Decoder(_Whose)
_telemetry: Final = FieldReader(TelemetryDto, "a report")
_CROSSED: Final = "Expected `float` "


def decode_tenant(body: bytes) -> str:
    """The tenant of a report, which is all that access is judged by. Raises as `decode_telemetry`."""
    try:
        said = _whose.decode(body).tenant_id
    except UNREADABLE as e:
        raise single_error(body, e) from e
    return tenant_id(said) or said


def decode_telemetry(body: bytes) -> tuple[TelemetryDto, Sequence[Ignored]]:
    """The report, and what is ignored of it. Raises MalformedBodyError, or ItemRefusedError naming the field."""
    try:
        said, ignored = _telemetry.read(body)
    except UNREADABLE as e:
        if error := bounds_error(e):
            raise ItemRefusedError(error) from e
        raise single_error(body, e) from e
    if error := fault(said):
        raise ItemRefusedError(error)
    return said, ignored


def bounds_error(error: Exception) -> ItemError | None:
    """A sentence about the bound that a number crosses; None when that is not what is wrong."""
    if not isinstance(error, msgspec.ValidationError) or not str(error).startswith(_CROSSED):
        return None
    return ItemError(Reason.VALUE, item_error(error, b"").field, _NOT_A_NUMBER.detail)


def fault(said: Telemetry) -> ItemError | None:
    """What is wrong with the additional data."""
    given = said.additional_data
    if given is None:
        return None
    over = crossed(given, max_depth=contract.MAX_ADDITIONAL_DEPTH, max_keys=contract.MAX_ADDITIONAL_KEYS)
    if over is not None:
        return _CROSSED_BOUNDS[over]
    for name in contract.ADDITIONAL_NUMBERS:
        if given.get(name) is not None and not contract.is_number(given[name]):
            return ItemError(Reason.VALUE, f"{contract.ADDITIONAL}.{name}", _NOT_A_NUMBER.detail)
    return _BYTES if len(msgspec.json.encode(given)) > contract.MAX_ADDITIONAL_BYTES else None


def samples_of(said: Telemetry, others_too: bool) -> list[Sample]:
    """Gauges: one of each known number, and if `others_too` one of each other number at the top of the additional data.

    Each new key of those is a new series, so they are for senders who may make series of the tenant anyway.
    """
    found = [Sample(contract.METRICS[name], Kind.GAUGE, (), value) for name, value in said.numbers().items()]
    if not others_too:
        return found
    others = [
        (key, float(value))
        for key, value in (said.additional_data or {}).items()
        if key not in contract.ADDITIONAL_NUMBERS
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and 1 <= len(key) <= contract.MAX_ADDITIONAL_KEY_CHARS
    ]
    for key, value in others[: contract.MAX_ADDITIONAL_METRICS]:
        found.append(Sample(names.NODE_ADDITIONAL, Kind.GAUGE, (("key", key),), value))
    return found


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node's telemetry, judged. `key`: the 16 bytes that name it, also when it is sent again; `others_too`: as for
    `samples_of`."""

    tenant: str
    at_ms: int
    key: bytes
    said: Telemetry
    others_too: bool

    @property
    def id(self) -> str:
        return report_id(self.key)

    def keyed(self) -> KeyedReport:
        """Ready to publish, with the samples of its numbers."""
        return KeyedReport(
            tenant=self.tenant,
            at_ms=self.at_ms,
            key=self.key,
            samples=samples_of(self.said, self.others_too),
            kind=contract.KIND,
            subject=contract.SUBJECT,
            body=self.said.body(),
        )
