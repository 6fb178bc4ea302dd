"""Everything else, by Apprise: a destination is one of its URLs, which is a secret as a whole.

Only the schemes of the settings are taken. The settings' own are services whose server does not stand in the URL:
Apprise connects by itself, so nothing could keep another one from an address inside.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from vigie_alerting.channels.model import SECRET, Channel
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.message import Message, Status

DEADLINE_S: Final = 20.0
_SOCKET_S: Final = 8.0
"""Longest wait for a connection, and for each part of an answer, whatever the URL says."""
_THREADS: Final = 8
_URL: Final = re.compile(r"(?P<scheme>[a-z0-9+]{1,32})://[!-~]{0,2000}", re.IGNORECASE)
_CODE: Final = re.compile(r"\berror=(?P<code>[1-5][0-9]{2})\b")
"""How Apprise's own log lines name an HTTP status."""
_PASSING: Final = frozenset({408, 425, 429})

# Its lines may contain what it was sent, and those of its requests the URL. What went wrong, the error says.
logging.getLogger("apprise").propagate = False


class Apprise:
    """Its plugins block, so they run in threads of their own; one that hangs holds one of them, not the loop."""

    def __init__(self, schemes: frozenset[str], deadline_s: float = DEADLINE_S) -> None:
        self._schemes = schemes
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="apprise")

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`."""
        check(channel.destination, self._schemes)
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, _notify, channel.destination, message, self._deadline_s
        )
        try:
            async with asyncio.timeout(self._deadline_s):
                error = await work
        except TimeoutError:
            raise Temporary(Failure.TIMEOUT, f"not delivered within {self._deadline_s:g} s") from None
        if error is not None:
            raise error


def check(destination: str, schemes: frozenset[str]) -> str:
    """The destination. Raises Permanent for one that is no URL of an allowed scheme."""
    found = _URL.fullmatch(destination)
    if found is None:
        raise Permanent(Failure.MISCONFIGURED, "an Apprise URL is needed, of visible ASCII characters")
    if found["scheme"].lower() not in schemes:
        raise Permanent(
            Failure.FORBIDDEN_ADDRESS,
            f"Apprise URLs of the kind {found['scheme'].lower()} are not allowed: VIGIE_ALERT_APPRISE_SCHEMES names "
            "those that are",
        )
    return destination


def _notify(url: str, message: Message, deadline_s: float) -> NotifyError | None:
    """Send, and say what went wrong. Blocks."""
    import apprise  # heavy: hundreds of plugins, which most never need

    service: Any = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(storage_mode="memory"))
    if service is None:
        return Permanent(Failure.MISCONFIGURED, "Apprise cannot read this URL")
    service.socket_connect_timeout = service.socket_read_timeout = _SOCKET_S
    service.retry = 0  # the outbox does that
    target = apprise.Apprise()
    target.add(service)
    kind = apprise.NotifyType.SUCCESS if message.status is Status.RESOLVED else apprise.NotifyType.FAILURE
    result = target.notify(
        body=text.plain(message), title=text.title(message), notify_type=kind, body_format="text", timeout=deadline_s
    )
    if result:
        return None
    return _error(str(entry.message) for one in result.results for entry in one.logs())


def _error(lines: Iterable[str]) -> NotifyError:
    codes = [int(found["code"]) for line in lines for found in _CODE.finditer(line)]
    if not codes:
        return Temporary(Failure.UNREACHABLE, "Apprise could not deliver it")
    code = codes[-1]
    said = f"the service answered {code}"
    if code == 429:
        return Temporary(Failure.RATE_LIMITED, said)
    if code in _PASSING or code >= 500:
        return Temporary(Failure.SERVER_ERROR, said)
    return Permanent(Failure.UNAUTHORISED if code in (401, 403) else Failure.REJECTED, said)


def _show(destination: str) -> str:
    return destination.partition("://")[0] + "://" + SECRET


KIND: Final = Kind(
    "apprise",
    lambda resources: Apprise(resources.settings.apprise_schemes),
    lambda destination, resources: check(destination, resources.settings.apprise_schemes),
    _show,
)
