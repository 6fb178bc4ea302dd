"""What a booking service would send for its activity: CloudEvents and metric items. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from vigie_contracts import names

from vigie_standalone.demo.model import Activity, Payment

Item = dict[str, Any]
SERVICE_UP = "service_up"
"""As the supervision of servers says it: 1 while a service runs on a host."""


def cloud_events(activity: Activity, seed: int, *, sessions: bool = True) -> list[Item]:
    """Structured CloudEvents. Their ids depend on seed, service and time only: sent twice they count once.

    Most events are begun and ended sessions; without them, `session_items` tells of those.
    """
    source = f"/booking/{activity.service}"
    # Spread over the slice, so that a filled-in past does not arrive in heaps.
    bodies = [*_facts(activity), *(_sessions(activity) if sessions else ())]
    step_ms = activity.seconds * 1000 / max(1, len(bodies))
    return [
        {
            "specversion": "1.0",
            "id": f"demo-{seed}-{activity.service}-{activity.start_ms}-{number}",
            "source": source,
            "type": f"com.example.{kind}",
            "time": _rfc3339(activity.start_ms + int(number * step_ms)),
            "datacontenttype": "application/json",
            "data": {"service": activity.service, **data},
        }
        for number, (kind, data) in enumerate(bodies)
    ]


def metric_items(activity: Activity, *, latencies: int | None = None) -> list[Item]:
    """Items for POST /api/metrics/batch: requests, latencies and connections of the service, gauges of its hosts.

    `latencies` bounds those of one endpoint.
    """
    return [*_application_items(activity, latencies), *_system_items(activity)]


def session_items(activity: Activity, *, durations: int) -> list[Item]:
    """The begun and ended sessions as sums of the slice, with at most so many of their durations."""
    labels, end = {"service": activity.service}, _end_ms(activity)
    counts = {
        names.SESSIONS_STARTED: activity.sessions_started,
        names.SESSIONS_ENDED: len(activity.session_durations_s),
    }
    sums = [_item(name, "counter", count, labels, end) for name, count in counts.items() if count]
    some = activity.session_durations_s[:durations]
    return sums + [_item(names.SESSION_DURATION, "histogram", duration, labels, end) for duration in some]


def _facts(activity: Activity) -> Iterator[tuple[str, Item]]:
    yield "session.active", {"activeUsers": activity.active_users}
    for step, count in activity.funnel.items():
        if count:
            yield "funnel.step", {"step": step, "count": count}
    for payment in activity.payments:
        yield "booking.created", {"quantity": 1}
        if payment.succeeded:
            yield "payment.succeeded", {**_money(payment), "method": payment.method}
            yield "booking.completed", {"quantity": 1, **_money(payment)}
        else:
            yield "payment.failed", {"method": payment.method}
    for refund in activity.refunds:
        yield "booking.cancelled", {"quantity": 1}
        yield "payment.refunded", {**_money(refund), "method": refund.method}
    for score in activity.scores:
        yield "satisfaction.rated", {"score": score}


def _sessions(activity: Activity) -> Iterator[tuple[str, Item]]:
    for _ in range(activity.sessions_started):
        yield "session.started", {}
    for duration in activity.session_durations_s:
        yield "session.ended", {"durationSeconds": duration}


def _money(payment: Payment) -> Item:
    return {"amount": payment.amount, "currency": payment.currency}


def _application_items(activity: Activity, most: int | None) -> Iterator[Item]:
    service, end = activity.service, _end_ms(activity)
    for requests in activity.requests:
        labels = {"service": service, "method": requests.method, "endpoint": requests.endpoint}
        for status, count in requests.by_status.items():
            yield _item(names.HTTP_REQUESTS, "counter", count, {**labels, "status": str(status)}, end)
        latencies = requests.latencies_s[:most]
        step_ms = activity.seconds * 1000 / max(1, len(latencies))
        for number, latency in enumerate(latencies):
            when = activity.start_ms + int(number * step_ms)
            kind = {"service": service, "endpoint": requests.endpoint}
            yield _item(names.HTTP_DURATION, "histogram", latency, kind, when)
    yield _item(names.ACTIVE_CONNECTIONS, "gauge", round(activity.active_users * 0.4), {"service": service}, end)


def _system_items(activity: Activity) -> Iterator[Item]:
    end = _end_ms(activity)
    for host in activity.hosts:
        labels = {"host": host.name}
        yield _item(SERVICE_UP, "gauge", int(host.running), {**labels, "service": activity.service}, end)
        yield _item(names.CPU_USAGE, "gauge", host.cpu_percent, labels, end)
        yield _item(names.MEMORY_USAGE, "gauge", host.memory_percent, labels, end)
        yield _item(names.DISK_USAGE, "gauge", host.disk_percent, labels, end)
        yield _item(names.LOAD_AVERAGE, "gauge", host.load_1m, {**labels, "period": "1m"}, end)
        yield _item(names.NETWORK_RECEIVED, "counter", host.received_bytes, labels, end)
        yield _item(names.NETWORK_SENT, "counter", host.sent_bytes, labels, end)


def _item(name: str, kind: str, value: float, labels: dict[str, str], timestamp_ms: int) -> Item:
    return {"name": name, "type": kind, "value": value, "labels": labels, "timestamp": timestamp_ms}


def _end_ms(activity: Activity) -> int:
    return activity.start_ms + int(activity.seconds * 1000) - 1


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
