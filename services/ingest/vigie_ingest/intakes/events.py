"""CloudEvents: each is taken or refused as a whole, and counts once however often it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.events import EVENT_DATA, CloudEvent
from vigie_contracts.problems import ItemProblem
from vigie_contracts.samples import SampleColumns
from vigie_identity.permissions import Permission
from vigie_publishing.errors import ItemError
from vigie_publishing.metric import Sample
from vigie_publishing.series.key import derived_key
from vigie_publishing.series.resolver import Resolved

from vigie_ingest import admission, cloudevents, listed, media, openapi
from vigie_ingest.cloudevents import Meaning, meaning
from vigie_ingest.errors import RejectedItem
from vigie_ingest.idempotency import event_key
from vigie_ingest.ignored import of_taken, warn
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.listed import BatchAnswer

_BOOKED: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "b-1001",
    "source": "/services/booking",
    "type": "com.example.booking.completed",
    "time": "2026-01-01T00:00:00Z",
    "data": {"amount": 129.9, "currency": "EUR"},
}


@dataclass(slots=True)
class Events:
    """What could be read of a request. `meanings` has an event once, by its key, however often it is there;
    `places` has all of its indexes, which share its verdict. Events of one id that say different things are different
    events."""

    meanings: dict[bytes, Meaning]
    places: dict[bytes, list[int]]
    samples: list[Sample]
    rejected: list[RejectedItem]
    warnings: list[ItemProblem]
    count: int


def _decode(request: Request) -> Events:
    decoded = cloudevents.decode_events(request.headers, request.header_lines, request.body)
    rejected = list(decoded.rejected)
    meanings: dict[bytes, Meaning] = {}
    places: dict[bytes, list[int]] = {}
    for i, event in enumerate(decoded.items):
        what = meaning(event, request.now_ms)
        if isinstance(what, ItemError):
            rejected.append(RejectedItem(decoded.index(i), what))
            continue
        warn(decoded.warnings, decoded.index(i), what.ignored)
        key = event_key(request.tenant, event.source, event.id, what.samples)
        meanings.setdefault(key, what)
        places.setdefault(key, []).append(decoded.index(i))
    derived = [sample for what in meanings.values() for sample in what.samples]
    return Events(meanings, places, derived, rejected, decoded.warnings, len(decoded.items) + len(decoded.rejected))


async def _take(pipeline: Pipeline, request: Request, events: Events) -> Verdict:
    series = await pipeline.series.derived(request.tenant, events.samples)
    rejected = events.rejected
    fingerprints, stamps, values = list[int](), list[int](), list[float]()
    keys: list[bytes] = []
    key_index: list[int] = []
    for key, what in events.meanings.items():
        found = _fingerprints(request.tenant, what, series)
        if isinstance(found, ItemError):
            rejected += [RejectedItem(index, found) for index in events.places[key]]
            continue
        fingerprints += found
        stamps += [what.timestamp] * len(found)
        values += [sample.value for sample in what.samples]
        key_index += [len(keys)] * len(found)
        keys.append(key)
    if keys:
        columns = SampleColumns(fingerprints, stamps, values, keys, key_index, request.now_ms)
        await pipeline.publisher.publish(columns, request.span)
    return Verdict(events.count - len(rejected), len(values), rejected, of_taken(events.warnings, rejected))


def _fingerprints(tenant: str, what: Meaning, series: Resolved) -> list[int] | ItemError:
    """The series of an event's samples; the error when one of them is refused."""
    fingerprints: list[int] = []
    for sample in what.samples:
        found = series[derived_key(tenant, sample)]
        if isinstance(found, ItemError):
            return found
        fingerprints.append(found)
    return fingerprints


def _ce_header(attribute: str) -> dict[str, Any]:
    return {
        "name": f"ce-{attribute}",
        "in": "header",
        "required": False,
        "description": "Binary mode: the attribute, percent-encoded UTF-8; the body is the data.",
        "schema": {"type": "string"},
    }


def _refine(schemas: dict[str, Any]) -> None:
    event = schemas["CloudEvent"]["properties"]
    event["data"] = {"description": f"Of the types {', '.join(EVENT_DATA)}; of others any JSON.", "type": "object"}
    event["specversion"]["enum"] = ["1.0"]
    event["data_base64"] = {"description": "The same JSON in base64, instead of `data`.", "type": "string"}


INTAKE: Final = Intake(
    path="/api/events",
    admission=admission.of_caller(Permission.DATA_WRITE),
    check=cloudevents.check_media,
    decode=_decode,
    samples=lambda events: len(events.samples),
    take=_take,
    encode=lambda _request, verdict: listed.response(verdict, "events", may_be_empty=True),
    operation=Operation(
        id="recordEvents",
        summary="Record CloudEvents 1.0: structured, batch or binary mode",
        parameters=tuple(_ce_header(name) for name in ("specversion", "id", "source", "type", "time")),
        body=openapi.body(
            {
                cloudevents.STRUCTURED: openapi.content(openapi.ref(CloudEvent), booking=_BOOKED),
                cloudevents.BATCH: openapi.content(openapi.list_of(CloudEvent), bookings=[_BOOKED]),
                media.JSON: openapi.content({}, event=_BOOKED, binary=_BOOKED["data"]),
            },
            required=False,
        ),
        responses=openapi.created(
            BatchAnswer, "At least one event was taken, each as a whole, or a batch had none.", openapi.LISTED_ERRORS
        ),
        schemas=(CloudEvent, BatchAnswer),
        refine=_refine,
    ),
)
