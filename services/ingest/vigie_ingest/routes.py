"""The intake routes as plain ASGI: read, decode, hand over, answer. No framework stands between them and the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar
from uuid import uuid4

from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.status import StatusCode
from vigie_contracts.telemetry import MAX_TELEMETRY_BYTES
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.credential_cache import Requester
from vigie_identity.errors import Unauthenticated
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal, PrincipalKind
from vigie_limits.quotas import RateLimits, RequestQuota
from vigie_runtime import logging, tracing
from vigie_runtime.addresses import FORWARDED_HEADER, Origins
from vigie_runtime.errors import ProblemError
from vigie_runtime.metrics import MetricSet

from vigie_ingest import admission, answers, cloudevents, history, media
from vigie_ingest.admission import Admission, Tenants
from vigie_ingest.answers import Answer, Send
from vigie_ingest.bodies import Bounds, Receive, read_body
from vigie_ingest.budget import Bodies
from vigie_ingest.decoding import decode_metric, decode_metrics
from vigie_ingest.errors import (
    BusAwayError,
    ClientGoneError,
    InternalError,
    InvalidRequestError,
    ItemError,
    ItemRefusedError,
    NothingAcceptedError,
    NotReadyError,
    Reason,
    RejectedItem,
    RequestError,
    SeriesLimitError,
)
from vigie_ingest.history import decode_history
from vigie_ingest.idempotency import IdempotencyStore, Lookup, Replay, header_key, request_key
from vigie_ingest.importing import History
from vigie_ingest.intake import Caller, Intake, Verdicts
from vigie_ingest.metrics import IDEMPOTENCY, REFUSED_CREDENTIALS, Route, RouteCollector, RouteMetrics
from vigie_ingest.reports import NodeReport, Reports
from vigie_ingest.settings import IngestSettings
from vigie_ingest.telemetry import decode_telemetry, decode_tenant

log = logging.get(__name__)

T = TypeVar("T")
Scope = MutableMapping[str, Any]
HeaderMap = Mapping[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]


class Authenticator(Protocol):
    """What the routes need of `vigie_identity.authenticator.Authenticator`."""

    async def authenticate(self, headers: RawHeaders, requester: Requester) -> Principal: ...


@dataclass(slots=True)
class Backend:
    """What the routes work on; exists from when the service is started until it stops."""

    intake: Intake
    reports: Reports
    history: History
    answers: IdempotencyStore
    authenticator: Authenticator
    tenants: Tenants
    rates: RateLimits


@dataclass(slots=True)
class AppState:
    """Shared by the routes. `backend` is None while the service is not started."""

    settings: IngestSettings
    metrics: MetricSet
    bodies: Bodies
    origins: Origins
    tracer: Tracer | None = None
    backend: Backend | None = None


def headers_of(scope: Scope) -> HeaderMap:
    """Headers by lower-case name; those that come several times are joined, as HTTP says."""
    given: RawHeaders = scope["headers"]
    headers = dict(given)
    if len(headers) != len(given):
        headers.clear()
        for name, value in given:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


@dataclass(slots=True)  # not frozen: that would cost a microsecond per object, and it is made per request
class Request:
    """What a route is given."""

    principal: Principal
    caller: Caller
    headers: HeaderMap
    body: bytes
    metrics: RouteMetrics

    def judged(self, accepted: int, rejected: Sequence[RejectedItem] = ()) -> None:
        """Count the verdicts."""
        self.metrics.judged(accepted, rejected)
        if rejected:
            self.caller.quota.took(0, len(rejected))


Work = Callable[[Backend, Request], Awaitable[Answer]]
_INLINE_BYTES: Final = 1 << 20

ACCESS: Final[Mapping[Route, Permission]] = {
    Route.CUSTOM: Permission.DATA_WRITE,
    Route.BUSINESS: Permission.DATA_WRITE,
    Route.BATCH: Permission.DATA_WRITE,
    Route.EVENTS: Permission.DATA_WRITE,
    Route.TELEMETRY: Permission.TELEMETRY_SEND,
    Route.HISTORY: Permission.HISTORY_IMPORT,
}
"""What the sender needs, for each route."""
_ANY: Final = Bounds()
_REPORT: Final = Bounds(MAX_TELEMETRY_BYTES, MAX_TELEMETRY_BYTES)


class IntakeRoute:
    """One route as an ASGI app: the frame around `work`, which is the same for all."""

    def __init__(  # noqa: PLR0917
        self,
        state: AppState,
        route: Route,
        admission: Admission,
        check: Callable[[HeaderMap], object],
        work: Work,
        bounds: Bounds = _ANY,
    ) -> None:
        """`check` looks at the headers before the body is read."""
        self._desk = state
        self._route = route
        self._admission = admission
        self._check = check
        self._work = work
        self._bounds = bounds
        self.metrics = RouteMetrics(route)
        self._lookups = {found: state.metrics.counter(IDEMPOTENCY, result=found) for found in Lookup}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        try:
            if self._desk.tracer is None:
                answer = await self._answer(scope, receive, None)
            else:
                answer = await self._traced(self._desk.tracer, scope, receive)
        except ClientGoneError:
            self.metrics.gone()
            return
        self.metrics.answered(answer.status, perf_counter() - began)
        await answers.send(answer, send)

    async def _traced(self, tracer: Tracer, scope: Scope, receive: Receive) -> Answer:
        parent = tracing.extract([(name.decode("latin-1"), value) for name, value in scope["headers"]])
        attributes = {"http.request.method": "POST", "http.route": self._route.value, "url.path": scope["path"]}
        with tracer.start_as_current_span(
            f"POST {self._route.value}", tracing.context_of(parent), SpanKind.SERVER, attributes
        ) as span:
            answer = await self._answer(scope, receive, span.get_span_context())
            span.set_attribute("http.response.status_code", answer.status)
            if answer.status >= 500:
                span.set_status(StatusCode.ERROR)
            return answer

    async def _answer(self, scope: Scope, receive: Receive, span: Any) -> Answer:
        backend = self._desk.backend
        if backend is None:
            return answers.problem(NotReadyError(), scope["path"])
        headers = headers_of(scope)
        client = scope["client"]
        origin = self._desk.origins.of(client[0] if client else None, headers.get(FORWARDED_HEADER))
        quota = backend.rates.open(origin)
        try:
            answer = await self._judge(backend, quota, scope["headers"], headers, receive, span)
        except (RequestError, ProblemError) as e:
            if isinstance(e, Unauthenticated) and e.reason is not None:
                self._desk.metrics.counter(REFUSED_CREDENTIALS, reason=e.reason).inc()
            answer = answers.problem(e, scope["path"])
        except ClientGoneError:
            raise
        except Exception:  # a bug; the sender learns nothing of its inside
            log.exception("a request failed", route=self._route.value)
            answer = answers.problem(InternalError(), scope["path"])
        answer.headers += quota.headers()
        return answer

    async def _judge(  # noqa: PLR0917
        self, backend: Backend, quota: RequestQuota, sent: RawHeaders, headers: HeaderMap, receive: Receive, span: Any
    ) -> Answer:
        try:
            principal = await backend.authenticator.authenticate(sent, quota)
            tenant = self._admission.by_headers(principal, headers)
        except ProblemError as e:
            await quota.refused(e)
            raise
        await quota.admit(principal, None if tenant == PLATFORM else tenant)
        self._check(headers)
        given = headers.get(b"idempotency-key")
        key = None if given is None else header_key(given)
        state = self._desk
        budget = state.bodies.strangers if principal.kind is PrincipalKind.ANONYMOUS else state.bodies
        body = await read_body(headers, receive, self._bounds, state.settings.ingest_body_timeout_s, budget)
        try:
            self.metrics.body_bytes += len(body)
            if tenant is None:
                named = await self._admission.by_body(principal, body, backend.tenants)
                await quota.report(principal, named)
                tenant = named.id
            if key is None:
                request = Request(principal, Caller(tenant, quota, None, span), headers, body, self.metrics)
                return await self._work(backend, request)
            caller = Caller(tenant, quota, request_key(tenant, key, self._route.value, body), span)
            return await self._once(backend, key, Request(principal, caller, headers, body, self.metrics))
        finally:
            budget.give(len(body))

    async def _once(self, backend: Backend, key: bytes, request: Request) -> Answer:
        """Replay the stored answer, or make one and store it."""
        caller = request.caller
        assert caller.key is not None  # noqa: S101  # `_judge` has just made it
        try:
            found, ticket = await backend.answers.claim(caller.tenant, key, caller.key)
        except RequestError as e:
            self._lookups[Lookup.IN_PROGRESS if e.status == 409 else Lookup.REUSED].inc()
            raise
        self._lookups[found].inc()
        if isinstance(ticket, Replay):
            return answers.replay(ticket.status, ticket.body)
        try:
            answer = await self._work(backend, request)
        except BaseException:
            await backend.answers.release(ticket)
            raise
        await backend.answers.store(ticket, answer.status, answer.body)
        return answer


async def _decoded(body: bytes, decode: Callable[[bytes], T]) -> T:
    """Beside the event loop when the body is so long that the others would notice."""
    return decode(body) if len(body) <= _INLINE_BYTES else await asyncio.to_thread(decode, body)


async def _single(backend: Backend, request: Request) -> Answer:
    try:
        metric = await _decoded(request.body, decode_metric)
    except ItemRefusedError as e:
        request.judged(0, e.errors)
        raise
    taken = await backend.intake.take_one(request.caller, metric)
    if isinstance(taken, ItemError):
        request.judged(0, [RejectedItem(0, taken)])
        raise SeriesLimitError(taken) if taken.reason is Reason.LIMIT else ItemRefusedError(taken)
    request.judged(1)
    return answers.single(metric.name, taken)


async def _batch(backend: Backend, request: Request) -> Answer:
    verdicts = await backend.intake.take_many(request.caller, await _decoded(request.body, decode_metrics))
    return _list_answer(verdicts, request, "metrics")


async def _events(backend: Backend, request: Request) -> Answer:
    decoded = await _decoded(request.body, partial(cloudevents.decode_events, request.headers))
    verdicts = await backend.intake.take_events(request.caller, decoded)
    return _list_answer(verdicts, request, "events")


async def _telemetry(backend: Backend, request: Request) -> Answer:
    try:
        said = decode_telemetry(request.body)
    except ItemRefusedError as e:
        request.judged(0, e.errors)
        raise
    caller = request.caller
    writes = request.principal.may(Permission.DATA_WRITE, caller.tenant)
    report = NodeReport(
        caller.tenant, backend.intake.clock.now_ms(), caller.key or uuid4().bytes, said, others_too=writes
    )
    try:
        without = await backend.reports.take(caller, [report])
    except BusAwayError as e:
        raise BusAwayError(keyed=caller.key is not None) from e
    request.judged(1, [RejectedItem(0, error) for error in without])
    return answers.telemetry(report.at_ms, caller.tenant)


async def _history(retention_ms: int, backend: Backend, request: Request) -> Answer:
    now_ms = backend.intake.clock.now_ms()
    decode = partial(decode_history, request.headers, now_ms=now_ms, retention_ms=retention_ms)
    verdicts = await backend.history.take(request.caller, await _decoded(request.body, decode))
    request.judged(verdicts.accepted, verdicts.rejected)
    if verdicts.accepted:
        return answers.history(verdicts)
    if verdicts.rejected:
        raise NothingAcceptedError(verdicts.rejected, "lines")
    raise InvalidRequestError("lines: there are none")


def _list_answer(verdicts: Verdicts, request: Request, what: str) -> Answer:
    request.judged(verdicts.accepted, verdicts.rejected)
    if verdicts.accepted:
        return answers.batch(verdicts, what)
    if verdicts.rejected:
        raise NothingAcceptedError(verdicts.rejected, what)
    raise InvalidRequestError(f"{what}: the list is empty")


def intake_routes(state: AppState) -> dict[Route, IntakeRoute]:
    """All intake routes; each takes POST."""
    sender = admission.of_caller(Permission.DATA_WRITE, TenantId(state.settings.default_tenant))
    node = admission.of_body(Permission.TELEMETRY_SEND, decode_tenant)
    importer = admission.of_platform(Permission.HISTORY_IMPORT)
    past = partial(_history, state.settings.report_retention_ms)
    routes = {
        route: IntakeRoute(state, route, *how)
        for route, how in {
            Route.CUSTOM: (sender, media.require_json, _single),
            Route.BUSINESS: (sender, media.require_json, _single),
            Route.BATCH: (sender, media.require_json, _batch),
            Route.EVENTS: (sender, cloudevents.check_media, _events),
            Route.TELEMETRY: (node, media.require_json, _telemetry, _REPORT),
            Route.HISTORY: (importer, history.check_media, past),
        }.items()
    }
    state.metrics.registry.register(RouteCollector([route.metrics for route in routes.values()]))
    return routes
