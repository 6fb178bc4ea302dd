"""One attempt to deliver one notification."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from vigie_runtime import logging, tracing
from vigie_storage.alerts.document import Notification

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.base import Notifier
from vigie_alerting.notifiers.errors import Failure, NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.message import message
from vigie_alerting.sender.failpoints import Failpoint, Point

log = logging.get(__name__)
tracer = tracing.tracer(__name__)

Lookup: TypeAlias = Callable[[Notification], Awaitable[Channel]]
"""The channel of a notification as it is now. Raises NotifyError when there is none to be used, StoreUnavailable."""


class Delivery:
    """Sends through the notifier of the channel's type."""

    def __init__(self, notifiers: Mapping[str, Notifier], external_url: str, failpoint: Failpoint) -> None:
        self._notifiers = notifiers
        self._external_url = external_url
        self._failpoint = failpoint

    async def attempt(self, notification: Notification, channel: Channel) -> NotifyError | None:
        """What went wrong; None: delivered. A notifier that fails in a way that it must not is tried again later."""
        notifier = self._notifiers.get(channel.type)
        if notifier is None:
            return Permanent(Failure.MISCONFIGURED, "there is no channel of this type")
        if notification.remaining:
            channel = replace(channel, destination=notification.remaining)
        told = message(
            notification.id, channel.name, notification.transitions, self._external_url, notification.group,
            queue=notification.queue,
        )  # fmt: skip
        context = tracing.context_of(tracing.extract([("traceparent", told.traceparent.encode())]))
        with tracer.start_as_current_span(f"notify {channel.type}", context=context):
            self._failpoint(Point.BEFORE_SEND)
            try:
                await notifier.send(channel, told)
            except NotifyError as e:
                return e
            except Exception as e:  # noqa: BLE001 - whatever a notifier does wrong, the others go on, and none is lost
                log.error("a notifier has a bug", type=channel.type, error=type(e).__name__)  # its text may be secret
                return Temporary(Failure.BUG, f"an unexpected error ({type(e).__name__})")
            self._failpoint(Point.AFTER_SEND)
        return None
