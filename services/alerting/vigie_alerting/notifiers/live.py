"""Live: a record for those who watch the alerts of a tenant now, which the push service broadcasts."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.message import Alert, Message
from vigie_alerting.notifiers.resources import Publish, Resources

DEADLINE_S: Final = 2.0


class Live:
    """Has no destination: whoever may see the alerts of the tenant sees it."""

    def __init__(self, publish: Publish, deadline_s: float = DEADLINE_S) -> None:
        self._publish = publish
        self._deadline_s = deadline_s

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._publish(channel.tenant, msgspec.json.encode(record(message)))
        except TimeoutError:
            raise Temporary(Failure.TIMEOUT, f"not handed over within {self._deadline_s:g} s") from None
        except OSError:
            raise Temporary(Failure.UNREACHABLE, "the live feed cannot be reached") from None


def record(message: Message) -> dict[str, Any]:
    """What is broadcast, JSON; times are milliseconds."""
    return {
        "id": message.id,
        "tenant": message.tenant,
        "status": message.status,
        "title": text.title(message),
        "alerts": [_alert(alert) for alert in message.alerts[: text.MAX_SHOWN]],
        "truncatedAlerts": max(0, len(message.alerts) - text.MAX_SHOWN) + message.more,
        "traceId": message.trace_id,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "acknowledged": alert.acknowledged,
        "severity": alert.severity,
        "ruleId": alert.rule_id,
        "ruleName": alert.rule_name,
        "reason": alert.reason,
        "summary": text.summary(alert),
        "value": alert.value,
        "labels": alert.labels,
        "startsAt": int(alert.starts_at.timestamp() * 1000),
        "endsAt": int(alert.ends_at.timestamp() * 1000) if alert.ends_at else None,
    }


def _check(destination: str, _: Resources) -> str:
    if destination:
        raise Permanent(Failure.MISCONFIGURED, "a live channel has no destination")
    return destination


KIND: Final = Kind("live", lambda resources: Live(resources.publish), _check, str, by_default=lambda _: "")
