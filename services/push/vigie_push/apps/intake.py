"""The messages `metrics` of apps: judged, authorised, charged, and acknowledged when Kafka has them."""

from __future__ import annotations

from typing import Any, Final, cast

from vigie_contracts import apps as words
from vigie_contracts.problems import ProblemKind, shortened
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_limits.quotas import RateLimits, RequestQuota
from vigie_publishing import apps
from vigie_publishing.errors import ItemError
from vigie_publishing.publishers import KeyedReport, Outcome, ReportPublisher
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_runtime.metrics import MetricSet

from vigie_push.apps.lanes import Lanes
from vigie_push.apps.metrics import MESSAGES, WAITING, Verdict
from vigie_push.messages import Ack, Metrics
from vigie_push.sessions import Session

MAX_WAITING_BYTES: Final = 64 << 20
"""Of all apps together, as they were sent."""


class InvalidMetrics(ProblemError):  # noqa: N818 - named after what is wrong
    """The metrics cannot be understood."""

    kind = ProblemKind.INVALID
    status = 422
    names_as_sent = True

    def __init__(self, error: ItemError) -> None:
        super().__init__(f"{shortened(error.field)}: {error.detail}", field=error.field)


class AppIntake:
    """Takes what apps measured, whatever transport it came by."""

    def __init__(
        self, reports: ReportPublisher, rates: RateLimits, clock: Clock, metrics: MetricSet, *, max_age_ms: int
    ) -> None:
        """`max_age_ms`: what is older is refused. `metrics` declares APP_METRICS."""
        self._rates, self._clock, self._max_age_ms = rates, clock, max_age_ms
        self._lanes = Lanes(reports.publish, MAX_WAITING_BYTES)
        self._counts = {verdict: metrics.counter(MESSAGES, verdict=verdict) for verdict in Verdict}
        metrics.gauge(WAITING).set_function(lambda: self._lanes.held)

    async def take(self, session: Session, message: Metrics) -> Ack:
        """Store it durably, and return the answer. Several may be under way for one session; they are begun in the
        order in which they came, and keep it by what they do before they first wait. The same message again, with the
        same id or the same time in it, counts once. Raises ProblemError."""
        try:
            outcome = await self._take(session, message)
        except ProblemError as e:
            self._counts[Verdict.UNAVAILABLE if e.status >= 500 else Verdict.REFUSED].inc()
            raise
        self._counts[Verdict.TAKEN].inc()
        rejected = [f"{shortened(error.field)}: {error.detail}" for error in outcome.refused]
        return Ack(id=message.id, rejected=rejected)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._lanes.close()

    async def _take(self, session: Session, message: Metrics) -> Outcome:
        principal = session.principal
        if principal is None:
            raise CredentialMissing
        tenant = session.tenant(Permission.APPS_SEND, message.tenant)
        report = self._report(principal, tenant, message)
        quota = self._rates.open(session.origin)

        async def admit() -> None:
            await quota.admit(principal, tenant)
            await _charge(quota, len(report.samples))

        outcome = await self._lanes.put(report, len(message.data), admit)
        quota.used(outcome.written, len(outcome.refused))
        return outcome

    def _report(self, principal: Principal, tenant: TenantId, message: Metrics) -> KeyedReport:
        """Raises InvalidMetrics, NotFound."""
        raw = bytes(message.data)
        decoded = apps.decode(raw)
        if isinstance(decoded, ItemError):
            raise InvalidMetrics(decoded)
        said = apps.judge(decoded, _unsaid(principal, tenant, decoded), self._clock.now_ms(), self._max_age_ms)
        if isinstance(said, ItemError):
            raise InvalidMetrics(said)
        principal.require_app_sender(tenant, said.app)
        id_ = None if message.id is None else str(message.id)
        return said.report(tenant, apps.key_of(tenant, said, id_, raw))


def _unsaid(principal: Principal, tenant: TenantId, decoded: object) -> str | None:
    """The app of old clients, which do not say it: the only one that the caller is assigned to."""
    if not isinstance(decoded, dict) or cast("dict[str, Any]", decoded).get(words.APP) not in (None, ""):
        return None
    assignment = principal.assignments.get(tenant)
    return next(iter(assignment.apps)) if assignment is not None and len(assignment.apps) == 1 else None


async def _charge(quota: RequestQuota, samples: int) -> None:
    if (charged := quota.charge(samples)) is not None:
        await charged
