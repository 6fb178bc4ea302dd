"""What requests are answered with: the bodies, and the two ASGI messages that carry them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct
from vigie_contracts import problems
from vigie_contracts.days import to_datetime
from vigie_contracts.problems import ItemProblem
from vigie_runtime.errors import ProblemError

from vigie_ingest.errors import RequestError, item_problems
from vigie_ingest.importing import HistoryVerdicts
from vigie_ingest.intake import Taken, Verdicts

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", problems.CONTENT_TYPE.encode())
_encode: Final = msgspec.json.Encoder().encode


class Echo(Struct):
    """The metric as it was taken."""

    name: str
    fingerprint: str
    """16 hex digits: the series."""
    timestamp: int
    """Milliseconds."""


class SingleAnswer(Struct):
    """201: the metric is on the bus, acknowledged."""

    success: bool
    accepted: int
    message: str
    metric: Echo


class BatchAnswer(Struct):
    """201: `accepted` items are on the bus, acknowledged. `errors` lists the first 100 of the `rejected` others."""

    success: bool
    accepted: int
    rejected: int
    message: str
    errors: list[ItemProblem]


class TelemetryAnswer(Struct, rename="camel"):
    """201: the report is on the bus, acknowledged. As the replaced service answers."""

    success: bool
    message: str
    timestamp: str
    """The report's time, by the gateway's clock."""
    tenant_id: str


class HistoryAnswer(Struct):
    """201: `accepted` lines are on the bus, acknowledged, or were stored before: `repeated` of them. `errors` lists the
    first 100 of the `rejected` others."""

    success: bool
    accepted: int
    repeated: int
    rejected: int
    message: str
    errors: list[ItemProblem]


@dataclass(slots=True)  # not frozen: made per request
class Answer:
    """A complete HTTP answer."""

    status: int
    body: bytes
    headers: Headers


def single(name: str, taken: Taken) -> Answer:
    """201 of the single routes."""
    echo = Echo(name, f"{taken.fingerprint:016x}", taken.timestamp)
    return Answer(201, _encode(SingleAnswer(True, 1, "metric recorded", echo)), [_JSON])


def batch(verdicts: Verdicts, what: str) -> Answer:
    """201 of the list routes, when at least one item was taken."""
    rejected = len(verdicts.rejected)
    message = f"{verdicts.accepted} {what} recorded" + (f", {rejected} refused" if rejected else "")
    body = BatchAnswer(True, verdicts.accepted, rejected, message, item_problems(verdicts.rejected))
    return Answer(201, _encode(body), [_JSON])


def telemetry(at_ms: int, tenant: str) -> Answer:
    """201 of the route for nodes."""
    when = to_datetime(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Answer(201, _encode(TelemetryAnswer(True, "Télémétrie enregistrée avec succès", when, tenant)), [_JSON])


def history(verdicts: HistoryVerdicts) -> Answer:
    """201 of the route for the past, when at least one line was taken."""
    rejected = len(verdicts.rejected)
    message = f"{verdicts.accepted} lines recorded, {verdicts.repeated} of them before"
    message += f", {rejected} refused" if rejected else ""
    problems_ = item_problems(verdicts.rejected)
    body = HistoryAnswer(True, verdicts.accepted, verdicts.repeated, rejected, message, problems_)
    return Answer(201, _encode(body), [_JSON])


def replay(status: int, body: bytes) -> Answer:
    """The stored answer of the first request."""
    return Answer(status, body, [_JSON, (b"idempotency-replayed", b"true")])


def problem(error: RequestError | ProblemError, path: str) -> Answer:
    """An RFC 9457 answer."""
    extra = error.headers() if isinstance(error, ProblemError) else error.answer_headers()
    headers: Headers = [_PROBLEM, *((name.encode(), value.encode()) for name, value in extra.items())]
    # Paths and reasons may hold what the sender wrote; half a surrogate pair cannot be written as JSON.
    text = path.encode("utf-8", "replace").decode()
    return Answer(error.status, _encode(error.problem(text[:500])), headers)


async def send(answer: Answer, send: Send) -> None:
    """The ASGI messages."""
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
