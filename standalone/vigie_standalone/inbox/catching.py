"""The two doors of the catcher: SMTP for mails, HTTP for webhooks. Both are open on the loopback only."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from vigie_standalone.inbox import messages
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.loopback import from_this_machine

MAX_BYTES = 1024 * 1024
"""Of one mail or call."""
IDLE_S = 30
MAX_RECIPIENTS = 100
_READY_PATH = "/health/ready"

Asgi = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Asgi]]
Send = Callable[[Asgi], Awaitable[None]]


def smtp_protocol(mailbox: Mailbox) -> Callable[[], SMTP]:
    """Makes the protocol of one SMTP connection."""
    return partial(
        SMTP, _Mails(mailbox), data_size_limit=MAX_BYTES, timeout=IDLE_S, ident="vigie inbox", hostname="localhost"
    )


class _Mails:
    """What aiosmtpd calls."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Anybody gets mail here, as long as they are not too many."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail, whatever is in it."""
        raw = envelope.content
        content = raw if isinstance(raw, bytes) else (raw or "").encode()
        caught = messages.mail(content, envelope.mail_from or "", [str(to) for to in envelope.rcpt_tos], _now_ms())
        return f"250 OK, message {self._mailbox.add(caught)} of the inbox"


class Calls:
    """An ASGI application that keeps what is POSTed, at any path."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, text = await self._answer(scope, receive)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _answer(self, scope: Asgi, receive: Receive) -> tuple[int, bytes]:
        if not from_this_machine(scope):
            return 403, b"the inbox is for this machine only"
        if scope["method"] == "GET" and scope["path"] == _READY_PATH:
            return 200, b"ready"
        if scope["method"] != "POST":
            return 405, b"POST what is to be caught; `vigie inbox` shows it"
        body = bytearray()
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return 400, b"cut short"
            body += event.get("body", b"")
            more = event.get("more_body", False)
            if len(body) > MAX_BYTES:
                return 413, b"larger than the inbox takes"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._mailbox.add(messages.call(scope["path"], headers, bytes(body), _now_ms()))
        return 200, b"ok"  # what Slack's webhooks answer


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
