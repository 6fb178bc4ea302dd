"""What an intake is: one way of writing to Vigie, declared in one object.

Everything that tells one intake from another stands in its file under `intakes`: path, permission, bounds, media types,
decoder, what becomes of the items, the answers of success and of errors, and its description. `frame.IntakeRoute`
serves them all alike: caller, limits, body, repeats, metrics and tracing are its work, and no intake knows of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from msgspec import Struct
from opentelemetry.trace import SpanContext
from vigie_contracts.problems import ItemProblem
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.principal import Principal
from vigie_publishing.publishers import KeyedPublisher, ReportPublisher
from vigie_publishing.series.resolver import SeriesResolver
from vigie_runtime.errors import ProblemError
from vigie_storage.reports.reader import StoredReports
from vigie_web.connection import Header

from vigie_ingest import responses
from vigie_ingest.admission import Admission, Headers
from vigie_ingest.bodies import ANY, CODINGS, Bounds, Codings
from vigie_ingest.errors import RejectedItem
from vigie_ingest.key_places import KeyPlaces
from vigie_ingest.responses import Response
from vigie_ingest.settings import IngestSettings
from vigie_ingest.site_hosts import SiteHosts


class Request(Struct, gc=False):  # a Struct, as what else is made for every request: a dataclass costs three times that
    """A request whose sender may send it and whose body is here, decompressed."""

    principal: Principal
    tenant: str
    path: str
    headers: Headers
    body: bytes
    now_ms: int
    settings: IngestSettings
    header_lines: Sequence[Header] = ()
    """The headers as they were sent, one by one."""
    span: SpanContext | None = None
    address: str = ""
    """Of the client."""
    key: bytes | None = None
    """The request key, 16 bytes, when the request has an Idempotency-Key: goes with its samples."""

    @property
    def keys(self) -> list[bytes] | None:
        """The request key as `SampleColumns` takes it; None without one."""
        return None if self.key is None else [self.key]


class Verdict(Struct, gc=False):
    """What became of a request's items, how many samples of them are on the bus, and what was ignored of those that
    were taken."""

    accepted: int
    samples: int
    rejected: Sequence[RejectedItem] = ()
    warnings: Sequence[ItemProblem] = ()


@dataclass(slots=True)
class Pipeline:
    """What intakes hand their items to."""

    series: SeriesResolver
    publisher: KeyedPublisher
    reports: ReportPublisher
    tenants: KnownTenants
    stored: StoredReports
    sites: SiteHosts
    places: KeyPlaces


@dataclass(frozen=True, slots=True)
class Operation:
    """The intake's part of the OpenAPI document, made with the helpers of `vigie_ingest.openapi`."""

    id: str
    summary: str
    body: Mapping[str, Any]
    responses: Mapping[str, Any]
    schemas: tuple[type, ...] = ()
    """What `body` and `responses` refer to by name."""
    refine: Callable[[dict[str, Any]], object] = lambda _schemas: None
    """Adds to the schemas of all intakes, by name, what the types cannot say."""
    parameters: tuple[Mapping[str, Any], ...] = ()
    description: str | None = None
    """None: the rules that hold for JSON."""


Decoded = TypeVar("Decoded")
Outcome = TypeVar("Outcome", bound=Verdict)


@dataclass(frozen=True, slots=True)
class Intake(Generic[Decoded, Outcome]):
    """A route that takes samples or reports, as `frame.IntakeRoute` serves it."""

    path: str
    """As a row of `vigie_contracts.paths` serves it; `/*` at its end: all paths below; `{name}` once in it: any text,
    with slashes too. Also the label in metrics."""
    admission: Admission
    check: Callable[[Headers], object]
    """Looks at the headers, before the body is read. Raises UnsupportedMediaError."""
    decode: Callable[[Request], Decoded]
    """Pure; beside the event loop when the body is long. Raises RequestErrors, whose `errors` are counted."""
    samples: Callable[[Decoded], int]
    """How many samples the tenant's limit is charged with, before `take`."""
    take: Callable[[Pipeline, Request, Decoded], Awaitable[Outcome]]
    """Puts the items on the bus: when this returns, they are acknowledged. Raises RequestErrors, as `decode`."""
    encode: Callable[[Request, Outcome], Response]
    """The answer. When what was rejected is an error in this protocol, it raises a RequestError, or returns the answer
    to it; what was accepted is on the bus, and counted, in either case."""
    operation: Operation
    encode_error: Callable[[ProblemError, str, Headers], Response] = responses.problem
    """The answer to an error of this intake or of its frame; gets the path and the headers of the request."""
    method: str = "POST"
    bounds: Bounds = ANY
    codings: Codings = field(default_factory=lambda: CODINGS)
    """What is done for each Content-Encoding. Without `identity` among them, a request must have one of the others."""
