"""Mail on a real SMTP server: encryption, login, refusals, several recipients."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.mail import addresses
from vigie_contracts.tenants import TenantId

from services.alerting.tests.kit import Certificate, MailServer, certificate
from services.alerting.tests.rigs import SECRET, EmailRig
from services.alerting.tests.samples import firing_message, resolved_message

CHANNEL = Channel("c", TenantId("acme"), "ops", "email", "one@example.com, two@example.com")


@pytest.fixture
def certified(tmp_path: Path) -> Certificate:
    return certificate(tmp_path)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    made = MailServer()
    yield made
    made.stop()


def email(server: MailServer, tls: ssl.SSLContext | None = None, **more: Any) -> Any:
    return EmailRig.email(server.port, tls, email_smtp_host="localhost", **more)


@pytest.mark.parametrize(("mode", "implicit"), [("starttls", False), ("auto", False), ("tls", True)])
async def test_login_and_mail_are_encrypted(
    server: MailServer, certified: Certificate, mode: str, implicit: bool
) -> None:
    await server.start(certified.server, implicit=implicit, login=True)
    await email(server, certified.client, email_smtp_tls=mode).send(CHANNEL, firing_message())
    (mail,) = server.mails
    assert mail.rcpt_tos == ["one@example.com", "two@example.com"]
    assert server.logins == [SECRET.encode()]


async def test_password_is_not_sent_without_encryption(server: MailServer) -> None:
    await server.start(login=True)
    with pytest.raises(Permanent) as caught:
        await email(server, email_smtp_tls="auto").send(CHANNEL, firing_message())
    assert caught.value.failure is Failure.TLS
    assert server.logins == []


async def test_untrusted_certificate_is_refused_before_the_login(server: MailServer, certified: Certificate) -> None:
    await server.start(certified.server, login=True)
    with pytest.raises(Temporary) as caught:
        await email(server, email_smtp_tls="starttls").send(CHANNEL, firing_message())
    assert caught.value.failure is Failure.TLS
    assert server.logins == []


async def test_wrong_password_is_permanent(server: MailServer) -> None:
    await server.start(login=True)
    server.refuse_login = True
    with pytest.raises(Permanent) as caught:
        await email(server).send(CHANNEL, firing_message())
    assert caught.value.failure is Failure.UNAUTHORISED


async def test_only_those_who_were_refused_for_now_are_told_again(server: MailServer) -> None:
    await server.start(login=True)
    server.refuse = {"two@example.com": "450 4.2.1 later"}
    with pytest.raises(Temporary) as caught:
        await email(server).send(CHANNEL, firing_message())
    assert caught.value.remaining == "two@example.com"
    server.refuse = {}
    await email(server).send(replace(CHANNEL, destination=caught.value.remaining), firing_message())
    assert [mail.rcpt_tos for mail in server.mails] == [["one@example.com"], ["two@example.com"]]


@pytest.mark.parametrize(
    ("refused", "expected"),
    [({"one@example.com": "550 5.1.1 who"}, Permanent),
     ({"one@example.com": "550 5.1.1 who", "two@example.com": "550 5.1.1 who"}, Permanent),
     ({"one@example.com": "450 later", "two@example.com": "450 later"}, Temporary)],
)  # fmt: skip
async def test_refused_recipients_are_named(
    server: MailServer, refused: dict[str, str], expected: type[Exception]
) -> None:
    await server.start(login=True)
    server.refuse = refused
    with pytest.raises(expected) as caught:
        await email(server).send(CHANNEL, firing_message())
    assert set(caught.value.remaining.split(",")) == set(refused)  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_episode_is_one_thread(server: MailServer) -> None:
    await server.start(login=True)
    for told in (firing_message(), firing_message(), resolved_message()):
        await email(server).send(CHANNEL, told)
    mails = [message_from_bytes(mail.content, policy=policy.default) for mail in server.mails]  # type: ignore[arg-type]
    assert len({mail["References"] for mail in mails}) == 1
    assert mails[0]["Message-ID"] == mails[1]["Message-ID"] != mails[2]["Message-ID"]
    assert all(mail["In-Reply-To"] == mail["References"] for mail in mails)


async def test_name_of_the_mail_server_without_address_is_temporary(server: MailServer) -> None:
    await server.start()
    with pytest.raises(Temporary) as caught:
        await EmailRig.email(25, email_smtp_host="no-such-host.invalid").send(CHANNEL, firing_message())
    assert caught.value.failure is Failure.NAME_UNKNOWN


@pytest.mark.parametrize(
    "destination",
    ["", ",", "ops", "ops@example.com\r\nBcc: x@y.z", "Ops <ops@example.com>", "a@b@c", "\u00f6@example.com",
     ",".join(f"a{i}@example.com" for i in range(51))],
)  # fmt: skip
def test_destinations_that_are_no_addresses_are_told(destination: str) -> None:
    with pytest.raises(Permanent):
        addresses(destination)
