"""The catcher of mails and webhooks: takes everything, keeps the last, shows nothing that anybody would obey."""

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner
from vigie_standalone.cli import app
from vigie_standalone.errors import StandaloneError
from vigie_standalone.home import Home
from vigie_standalone.inbox import catching, messages, page
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.inbox.messages import Kind, Message

NOW = 1_795_255_651_805
HOSTILE = '<script>alert("x")</script> & "\'\x1b[31m\u202e'


def mail(subject: str = "[FIRING] service_down", text: str = "car-rental is stopped") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Vigie <vigie@example.com>", "on-call@example.com", subject
    made["Message-ID"] = "<1@example.com>"
    made.set_content(text)
    made.add_alternative(f"<p>{text}</p>", subtype="html")
    return made


def caught(subject: str = "hello", text: str = "text") -> Message:
    return Message(Kind.MAIL, NOW, "vigie@example.com", "on-call@example.com", subject, text, {"Message-ID": "<1@x>"})


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "home" / "inbox", kept=3)


@pytest.fixture
async def smtp_port(mailbox: Mailbox) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(catching.smtp_protocol(mailbox), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def send(port: int, *mails: EmailMessage, to: list[str] | None = None) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        for made in mails:
            refused = client.send_message(made, "vigie@example.com", to or ["on-call@example.com"])
    return refused


async def test_mail_arrives_by_smtp_with_its_plain_text_and_headers(mailbox: Mailbox, smtp_port: int) -> None:
    await asyncio.to_thread(send, smtp_port, mail("Prix élevé"), mail())
    first, second = [message for _, message in mailbox.after(0)]
    assert (first.kind, first.sender, first.to) == (Kind.MAIL, "vigie@example.com", "on-call@example.com")
    assert first.subject == "Prix élevé"
    assert first.text.strip() == "car-rental is stopped"
    assert second.headers["Message-ID"] == "<1@example.com>"


async def test_mail_beyond_the_bounds_is_refused(mailbox: Mailbox, smtp_port: int) -> None:
    with pytest.raises(smtplib.SMTPException):
        await asyncio.to_thread(send, smtp_port, mail(text="x" * (catching.MAX_BYTES + 1)))
    many = [f"u{n}@example.com" for n in range(catching.MAX_RECIPIENTS + 2)]
    refused = await asyncio.to_thread(send, smtp_port, mail(), to=many)
    assert [code for code, _ in refused.values()] == [452, 452]
    assert len(mailbox.numbers()) == 1


async def post(mailbox: Mailbox, path: str, client: str = "127.0.0.1", **request: object) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=catching.Calls(mailbox), client=(client, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:25000") as caller:
        return await caller.post(path, **request)  # pyright: ignore[reportArgumentType]


async def test_webhook_is_kept_with_its_payload_laid_out_and_without_its_credential(mailbox: Mailbox) -> None:
    payload = {"status": "firing", "commonLabels": {"alertname": "service_down"}, "alerts": []}
    answer = await post(mailbox, "/hook", json=payload, headers={"authorization": "Bearer s3cret", "webhook-id": "n1"})
    assert (answer.status_code, answer.text) == (200, "ok")
    [(_, message)] = mailbox.after(0)
    assert (message.kind, message.to, message.subject) == (Kind.WEBHOOK, "/hook", "[FIRING] service_down")
    assert json.loads(message.text) == payload
    assert "\n  " in message.text
    assert message.headers["webhook-id"] == "n1"
    assert "s3cret" not in message.to_json()


async def test_slack_message_is_shown_as_its_texts(mailbox: Mailbox) -> None:
    block = {"type": "section", "text": {"type": "plain_text", "text": "car-rental is stopped", "emoji": False}}
    payload = {"text": "[FIRING] service_down", "attachments": [{"blocks": [block]}]}
    await post(mailbox, "/slack", json=payload)
    [(_, message)] = mailbox.after(0)
    assert (message.kind, message.subject) == (Kind.SLACK, "[FIRING] service_down")
    assert message.text.splitlines() == ["[FIRING] service_down", "car-rental is stopped"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"commonLabels": 3}', b'{"text": [1]}'])
@pytest.mark.parametrize("path", ["/hook", "/slack"])
async def test_call_with_any_body_is_kept(mailbox: Mailbox, path: str, body: bytes) -> None:
    assert (await post(mailbox, path, content=body)).status_code == 200
    [(_, message)] = mailbox.after(0)
    assert message.subject


async def test_call_that_is_too_large_or_from_elsewhere_is_not_kept(mailbox: Mailbox) -> None:
    assert (await post(mailbox, "/hook", content=b"x" * (catching.MAX_BYTES + 1))).status_code == 413
    assert (await post(mailbox, "/hook", client="192.0.2.7")).status_code == 403
    assert mailbox.numbers() == []


def test_only_the_last_are_kept_and_numbers_go_on_after_a_restart(mailbox: Mailbox, tmp_path: Path) -> None:
    for number in range(1, 6):
        assert mailbox.add(caught(f"m{number}")) == number
    assert mailbox.numbers() == [3, 4, 5]
    again = Mailbox(tmp_path / "home" / "inbox", kept=3)
    assert again.add(caught()) == 6
    assert again.get(6) == caught()
    assert again.get(3) is None


def test_damaged_and_foreign_files_are_passed_over(mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.add(caught())
    directory = tmp_path / "home" / "inbox"
    (directory / "00000002.json").write_bytes(b'{"kind": "mail"')
    (directory / "notes.json").write_text("mine")
    assert [number for number, _ in mailbox.after(0)] == [1]
    assert mailbox.numbers() == [1, 2]


def test_nothing_of_a_message_is_obeyed_by_a_browser_or_a_terminal() -> None:
    message = messages.mail(mail(HOSTILE.replace("\x1b", ""), HOSTILE).as_bytes(), HOSTILE, [HOSTILE], NOW)
    for shown in (page.message_page(1, message), page.list_page([(1, message)])):
        assert "<script" not in shown
        assert "&lt;script&gt;" in shown
        assert not {"\x1b", "\u202e"} & set(shown)
    assert not {"\x1b", "\u202e"} & set(message.to_json() + message.subject + message.text + message.to)
    called = messages.call("/\x1b[2J", {"user-agent": HOSTILE}, HOSTILE.encode(), NOW)
    assert not {"\x1b", "\u202e"} & set(called.subject + called.text + called.to + called.sender)


@pytest.mark.parametrize(
    "body", [b"Content-Type: text/plain; charset=nonsense\r\n\r\nx", b"", b"\xff", b"Subject: =?x?"]
)
def test_mail_that_is_none_is_kept_all_the_same(body: bytes) -> None:
    assert messages.mail(body, "", [], NOW).subject


def vigie(home: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--data-dir", str(home)])
    if isinstance(done.exception, StandaloneError):
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.output


def test_command_lists_and_shows(tmp_path: Path) -> None:
    assert "No Vigie runs" in vigie(tmp_path, "inbox")
    mailbox = Mailbox(Home(tmp_path).inbox)
    mailbox.add(caught("first"))
    mailbox.add(caught("second", "the whole\nof it"))
    listed = vigie(tmp_path, "inbox")
    assert listed.index("first") < listed.index("second")
    assert "first" not in vigie(tmp_path, "inbox", "list", "--limit", "1")
    shown = vigie(tmp_path, "inbox", "show", "2")
    assert "To: on-call@example.com\nSubject: second\nMessage-ID: <1@x>\n\nthe whole\nof it\n" in shown
    assert "There is no message 3" in vigie(tmp_path, "inbox", "show", "3")


def test_reset_forgets_what_was_caught(tmp_path: Path) -> None:
    home = Home(tmp_path)
    Mailbox(home.inbox).add(caught())
    home.claim()
    home.reset()
    home.release()
    assert not home.inbox.exists()
