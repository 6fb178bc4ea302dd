"""E-mail over SMTP. The server is the settings'; a destination is one or several addresses."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Final

import aiosmtplib
from vigie_runtime.clock import Clock

from vigie_alerting.channels.model import Channel
from vigie_alerting.channels.settings import ChannelSettings
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.mail import addresses, mail
from vigie_alerting.notifiers.message import Message
from vigie_alerting.notifiers.resources import Resources

DEADLINE_S: Final = 20.0
"""For one mail: greeting, encryption, login, delivery."""
_TLS_PORT: Final = 465
_AUTH_CODES: Final = frozenset({530, 534, 535, 538})


class Email:
    """A connection for each mail: alerts are rare, and servers end idle ones."""

    def __init__(
        self, settings: ChannelSettings, clock: Clock, tls: ssl.SSLContext, deadline_s: float = DEADLINE_S
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tls = tls
        self._deadline_s = deadline_s

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`. Where some recipients were refused, the others have it: the error says who has not."""
        settings = self._settings
        if not settings.email_smtp_host or not settings.mail_sender:
            raise Permanent(
                Failure.MISCONFIGURED, "no mail server: set EMAIL_SMTP_HOST, and EMAIL_FROM or EMAIL_USERNAME"
            )
        recipients = addresses(channel.destination)
        made = mail(message, addresses(settings.mail_sender)[0], recipients, self._clock.now_ms())
        try:
            async with asyncio.timeout(self._deadline_s):
                refused = await self._deliver(made, recipients)
        except TimeoutError:  # also aiosmtplib's own
            raise Temporary(Failure.TIMEOUT, f"no answer within {self._deadline_s:g} s") from None
        except aiosmtplib.SMTPRecipientsRefused as e:
            refused = {one.recipient: one.code for one in e.recipients}
        except (aiosmtplib.SMTPException, OSError, ValueError) as e:
            raise _error(e) from None
        if refused:
            raise _refused(refused)

    async def _deliver(self, made: EmailMessage, recipients: list[str]) -> Mapping[str, int]:
        """Who was refused, with the server's code."""
        settings = self._settings
        mode = settings.email_smtp_tls
        tls = mode == "tls" or (mode == "auto" and settings.email_smtp_port == _TLS_PORT)
        client = aiosmtplib.SMTP(
            hostname=settings.email_smtp_host,
            port=settings.email_smtp_port,
            use_tls=tls,
            start_tls=not tls and mode != "none",
            tls_context=None if mode == "none" else self._tls,
            timeout=self._deadline_s,
        )
        sender = settings.mail_sender
        try:
            await client.connect()
            if settings.email_username and settings.email_password is not None:
                await client.login(settings.email_username, settings.email_password.get_secret_value())
            refused, _ = await client.sendmail(sender, recipients, made.as_bytes())
        finally:
            # Not QUIT: the mail is taken, and a server that does not say goodbye must not make it look lost.
            client.close()
        return {address: response.code for address, response in refused.items()}


def _refused(codes: Mapping[str, int]) -> NotifyError:
    """Those refused for now are tried again; else those refused for good are what is left."""
    later = [address for address, code in codes.items() if code < 500]
    left = ",".join(later or codes)
    said = f"the mail server refused {len(codes)} of the recipients ({min(codes.values())})"
    return Temporary(Failure.SERVER_ERROR, said, remaining=left) if later else Permanent(
        Failure.REJECTED, said, remaining=left
    )  # fmt: skip


def _error(error: BaseException) -> NotifyError:
    """By the class of the error and the code of the answer, never by its text."""
    if isinstance(error, aiosmtplib.SMTPConnectError | aiosmtplib.SMTPServerDisconnected | OSError):
        return _unreachable(error)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"the mail server answered {error.code}{_enhanced(error.message)}"
        if error.code in _AUTH_CODES or isinstance(error, aiosmtplib.SMTPAuthenticationError):
            return Permanent(Failure.UNAUTHORISED, said) if error.code >= 500 else Temporary(
                Failure.UNAUTHORISED, said
            )  # fmt: skip
        if error.code >= 500:
            return Permanent(Failure.REJECTED, said)
        return Temporary(Failure.SERVER_ERROR, said)
    if isinstance(error, ValueError):
        return Permanent(Failure.MISCONFIGURED, "the settings of the mail server cannot be used together")
    return Permanent(Failure.TLS, "the mail server offers no encryption, or no login, of the kind that is asked for")


def _unreachable(error: BaseException) -> Temporary:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Temporary(Failure.TLS, "the mail server's certificate is not trusted")
        if isinstance(cause, ssl.SSLError):
            return Temporary(Failure.TLS, "no encrypted connection to the mail server")
        if type(cause).__name__ == "gaierror":
            return Temporary(Failure.NAME_UNKNOWN, "the name of the mail server has no address at the moment")
        cause = cause.__cause__ or cause.__context__
    return Temporary(Failure.UNREACHABLE, "no connection to the mail server, or it was lost")


def _enhanced(said: str) -> str:
    """The code of RFC 3463 at the beginning of an answer."""
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)", said)
    return f" {found.group()}" if found else ""


def _check(destination: str, resources: Resources) -> str:
    return ",".join(addresses(destination or _default(resources) or ""))


def _default(resources: Resources) -> str | None:
    settings = resources.settings
    return (settings.email_to or settings.mail_sender or None) if settings.email_smtp_host else None


KIND: Final = Kind(
    "email",
    lambda resources: Email(resources.settings, resources.clock, resources.tls),
    _check,
    str,
    by_default=_default,
)
