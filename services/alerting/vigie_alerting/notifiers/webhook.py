"""Webhooks: Alertmanager's version 4 payload, so that receivers made for it work unchanged.

Signed as Standard Webhooks describe when the channel has a `signing` secret: headers `webhook-id`,
`webhook-timestamp` (seconds) and `webhook-signature` (`v1,` and the base64 of the HMAC-SHA256 of
`id.timestamp.body`). The secret is `whsec_` and the base64 of 24 to 64 random bytes. The id is the notification's, the
same at every attempt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from vigie_runtime.clock import Clock

from vigie_alerting.channels.model import Channel, masked_url
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.http import Http, parsed
from vigie_alerting.notifiers.message import Alert, Message, common
from vigie_alerting.notifiers.resources import Resources

SIGNING: Final = "signing"
AUTHORIZATION: Final = "authorization"
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = (24, 64)
_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What Go's encoder writes for characters that mean something in HTML or JavaScript."""
MAX_ALERTS: Final = 1_000


class Webhook:
    """Secrets of a channel: `signing`, and `authorization`, the value of that header."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`."""
        body = payload(message)
        headers = {"Content-Type": "application/json", "webhook-id": message.id}
        if re.fullmatch(r"[0-9a-f-]{55}", message.traceparent):
            headers["traceparent"] = message.traceparent
        if secret := channel.secrets.get(SIGNING):
            headers |= signature(secret, message.id, self._clock.now_ms() // 1000, body)
        if value := channel.secrets.get(AUTHORIZATION):
            headers["Authorization"] = _header(value)
        await self._http.post(channel.destination, headers, body, trusted=channel.trusted)


def payload(message: Message) -> bytes:
    """The body, byte for byte as Go would write it."""
    shown = message.alerts[:MAX_ALERTS]
    data = {
        "receiver": message.receiver,
        "status": message.status.value,
        "alerts": [_alert(alert) for alert in shown],
        "groupLabels": _sorted(message.group_labels),
        "commonLabels": _sorted(common([alert.labels for alert in message.alerts])),
        "commonAnnotations": _sorted(common([alert.annotations for alert in message.alerts])),
        "externalURL": message.external_url,
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": len(message.alerts) - len(shown) + message.more,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (re.sub("[<>&\u2028\u2029]", lambda found: _HTML[found.group()], text) + "\n").encode("utf-8", "replace")


def signature(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:  # noqa: A002
    """The headers that prove who sent it and when. Raises Permanent for a secret that is none."""
    signed = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {"webhook-timestamp": str(timestamp), "webhook-signature": "v1," + base64.b64encode(digest).decode()}


def _key(secret: str) -> bytes:
    least, most = _KEY_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not least <= len(key) <= most:
        raise Permanent(
            Failure.MISCONFIGURED, f"a signing secret is {_PREFIX} and the base64 of {least} to {most} random bytes"
        )
    return key


def _header(value: str) -> str:
    if not re.fullmatch(r"[ -~]{1,4096}", value):
        raise Permanent(Failure.MISCONFIGURED, "the value of the authorization header must be visible ASCII characters")
    return value


def check_secret(name: str, value: str) -> None:
    """Raises Permanent for one that cannot be used."""
    if name == SIGNING:
        _key(value)
    else:
        _header(value)


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status.value,
        "labels": _sorted(alert.labels),
        "annotations": _sorted(alert.annotations),
        "startsAt": _time(alert.starts_at),
        "endsAt": _ZERO_TIME if alert.ends_at is None else _time(alert.ends_at),
        "generatorURL": alert.link,
        "fingerprint": alert.fingerprint,
    }


def _sorted(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name] for name in sorted(values)}


def _time(when: datetime) -> str:
    """RFC 3339 with as many digits as are needed."""
    text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


def _check(destination: str, _: Resources) -> str:
    parsed(destination)
    return destination


KIND: Final = Kind(
    "webhook",
    lambda resources: Webhook(resources.http, resources.clock),
    _check,
    masked_url,
    frozenset({SIGNING, AUTHORIZATION}),
    check_secret=check_secret,
)
