"""The frame around every intake, as plain ASGI: caller, limits, body, repeats, answer, and what is counted of them.

No framework stands between it and the server. An intake is asked four times: to look at the headers, to decode, to take
what was decoded, and to answer. The limits are touched twice: before the body is read, and when it is known how many
samples are in it; what the tenant used is counted once, from the verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeAlias

from opentelemetry.trace import SpanContext, SpanKind, Tracer
from opentelemetry.trace.status import StatusCode
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.errors import Unauthenticated
from vigie_identity.principal import Principal, PrincipalKind
from vigie_limits.quotas import RequestQuota
from vigie_runtime import logging, tracing
from vigie_runtime.addresses import FORWARDED_HEADER
from vigie_runtime.errors import ProblemError
from vigie_web.connection import Receive, Scope, Send
from vigie_web.health import Check
from vigie_web.state import AccessControl, AppState

from vigie_ingest import responses
from vigie_ingest.admission import Headers
from vigie_ingest.bodies import Bodies, read_body
from vigie_ingest.errors import ClientGoneError, InternalError, NotReadyError, RequestError
from vigie_ingest.idempotency import IdempotencyStore, Lookup, Replay, header_key, request_key
from vigie_ingest.intake import Intake, Pipeline, Request
from vigie_ingest.metrics import BODIES, IDEMPOTENCY, REFUSED_CREDENTIALS, RouteMetrics, WarnedTenants
from vigie_ingest.responses import Response
from vigie_ingest.settings import IngestSettings

log = logging.get(__name__)

_INLINE_BYTES: Final = 1 << 20
"""A longer body is decoded beside the event loop, because the others would notice."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the gateway has while it is connected."""

    access: AccessControl
    checks: Sequence[Check]
    pipeline: Pipeline
    idempotency: IdempotencyStore


State: TypeAlias = AppState[IngestSettings, Resources]


def _stranger(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.ANONYMOUS


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Headers by lower-case name; those that come several times are joined, as HTTP says."""
    given: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(given)
    if len(headers) != len(given):
        headers.clear()
        for name, value in given:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


class Frame:
    """What the intake routes share beside the state of the service: memory for bodies, and the tracer."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.bodies = Bodies(state.settings.ingest_max_body_bytes)
        self.warned = WarnedTenants()
        state.metrics.registry.register(self.warned)
        self.tracer = tracing.tracer("vigie_ingest") if tracing.enabled() else None
        state.metrics.gauge(BODIES).set_function(lambda: self.bodies.held)


class IntakeRoute:
    """One intake as an ASGI app."""

    def __init__(self, frame: Frame, intake: Intake[Any, Any]) -> None:
        state = frame.state
        self.frame = frame
        self.intake = intake
        self.metrics = RouteMetrics(intake.path)
        self._state = state
        self._default_tenant = TenantId(state.settings.default_tenant)
        self._lookups = {found: state.metrics.counter(IDEMPOTENCY, result=found) for found in Lookup}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        try:
            if self.frame.tracer is None:
                response = await self._respond(scope, receive, None)
            else:
                response = await self._traced(self.frame.tracer, scope, receive)
        except ClientGoneError:
            self.metrics.gone()
            return
        self.metrics.answered(response.status, perf_counter() - began)
        await responses.send(response, send)

    async def _traced(self, tracer: Tracer, scope: Scope, receive: Receive) -> Response:
        method, path = self.intake.method, self.intake.path
        parent = tracing.extract([(name.decode("latin-1"), value) for name, value in scope["headers"]])
        attributes = {"http.request.method": method, "http.route": path, "url.path": scope["path"]}
        with tracer.start_as_current_span(
            f"{method} {path}", tracing.context_of(parent), SpanKind.SERVER, attributes
        ) as span:
            response = await self._respond(scope, receive, span.get_span_context())
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                span.set_status(StatusCode.ERROR)
            return response

    async def _respond(self, scope: Scope, receive: Receive, span: SpanContext | None) -> Response:
        """The answer, whatever happens, and what it tells of the limits."""
        state = self._state
        headers = headers_of(scope)
        resources = state.resources
        if resources is None:
            return self._error(NotReadyError(), scope, headers)
        client = scope["client"]
        origin = state.origins.of(client[0] if client else None, headers.get(FORWARDED_HEADER))
        quota = resources.access.rates.open(origin)
        try:
            response = await self._serve(resources, quota, scope, headers, receive, span, origin.address)
        except ProblemError as e:
            if isinstance(e, Unauthenticated) and e.reason is not None:
                state.metrics.counter(REFUSED_CREDENTIALS, reason=e.reason).inc()
            response = self._error(e, scope, headers)
        except ClientGoneError:
            raise
        except Exception:  # a bug; the sender learns nothing of its inside
            log.exception("a request failed", route=self.intake.path)
            response = self._error(InternalError(), scope, headers)
        response.headers += quota.headers()
        return response

    def _error(self, error: ProblemError, scope: Scope, headers: Headers) -> Response:
        """As the intake writes it; when that fails, the problem that something failed."""
        try:
            return self.intake.encode_error(error, scope["path"], headers)
        except Exception:  # a bug, as above
            log.exception("an error could not be written", route=self.intake.path)
            return responses.problem(InternalError(), scope["path"], headers)

    async def _serve(  # noqa: PLR0917
        self, resources: Resources, quota: RequestQuota, scope: Scope, headers: Headers, receive: Receive,
        span: SpanContext | None, address: str,
    ) -> Response:  # fmt: skip
        """Who sends it, for whom, and may that be; then the body; then what is to be done with it."""
        intake, state, control = self.intake, self._state, resources.access
        try:
            principal = await control.authenticator.authenticate(scope["headers"], quota)
            tenant = intake.admission.by_headers(principal, headers, self._default_tenant)
        except ProblemError as e:
            await quota.refused(e)
            raise
        await quota.admit(principal, None if tenant == PLATFORM else tenant)
        intake.check(headers)
        given = headers.get(b"idempotency-key")
        key = None if given is None else header_key(given)
        bodies = self.frame.bodies
        budget = bodies.strangers if _stranger(principal) else bodies
        timeout_s = state.settings.ingest_body_timeout_s
        body = await read_body(headers, receive, intake.bounds, intake.codings, timeout_s, budget)
        try:
            self.metrics.body_bytes += len(body)
            if tenant is None:
                named = await intake.admission.by_body(principal, body, control.known_tenants)
                await quota.report(principal, named, len(body))
                tenant = named.id
            path, now_ms = scope["path"], state.clock.now_ms()
            request = Request(
                principal, tenant, path, headers, body, now_ms, state.settings, scope["headers"], span, address
            )
            if key is None:
                return await self._take(resources.pipeline, quota, request)
            request.key = request_key(tenant, key, path, body, stranger=_stranger(principal))
            return await self._once(resources, quota, request, key)
        finally:
            budget.give(len(body))

    async def _once(self, resources: Resources, quota: RequestQuota, request: Request, key: bytes) -> Response:
        """Replay the stored answer, or make one and store it."""
        assert request.key is not None  # noqa: S101  # `_serve` has just made it
        store = resources.idempotency
        try:
            stranger = _stranger(request.principal)
            found, ticket = await store.claim(request.tenant, key, request.key, stranger=stranger)
        except ProblemError as e:
            self._lookups[Lookup.IN_PROGRESS if e.status == 409 else Lookup.REUSED].inc()
            raise
        self._lookups[found].inc()
        if isinstance(ticket, Replay):
            return responses.replay(ticket)
        try:
            response = await self._take(resources.pipeline, quota, request)
        except BaseException:
            await store.release(ticket)
            raise
        await store.store(ticket, Replay(response.status, response.body, tuple(response.headers)))
        return response

    async def _take(self, pipeline: Pipeline, quota: RequestQuota, request: Request) -> Response:
        """Decode, charge, put on the bus, count, encode."""
        intake = self.intake
        try:
            decode = intake.decode
            long = len(request.body) > _INLINE_BYTES
            decoded = await asyncio.to_thread(decode, request) if long else decode(request)
            if (charged := quota.charge(intake.samples(decoded))) is not None:
                await charged
            taking = intake.take(pipeline, request, decoded)
            del decoded  # it is the intake's now, to free when it has made columns of it
            verdict = await taking
        except RequestError as e:
            self.metrics.judged(0, e.errors)
            quota.used(0, len(e.errors))
            raise
        self.metrics.judged(verdict.accepted, verdict.rejected)
        quota.used(verdict.samples, len(verdict.rejected))
        if verdict.warnings:
            self.frame.warned.add(request.tenant, len(verdict.warnings))
        return intake.encode(request, verdict)
