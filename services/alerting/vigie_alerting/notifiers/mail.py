"""The mail of a message: text and HTML, and the headers by which mail programs put an episode into one thread."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Final

from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.message import Alert, Message, Status

MAX_RECIPIENTS: Final = 50
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")
_CELL: Final = "padding:2px 12px 2px 0;vertical-align:top"


def addresses(destination: str) -> list[str]:
    """Those of a comma-separated list, each once. Raises Permanent."""
    found = list(dict.fromkeys(filter(None, (part.strip() for part in destination.split(",")))))
    if not found or not all(_ADDRESS.fullmatch(address) for address in found):
        raise Permanent(Failure.MISCONFIGURED, "mail addresses like ops@example.com are needed, comma-separated")
    if len(found) > MAX_RECIPIENTS:
        raise Permanent(Failure.MISCONFIGURED, f"at most {MAX_RECIPIENTS} recipients are told in one mail")
    return found


def mail(message: Message, sender: str, recipients: list[str], now_ms: int) -> EmailMessage:
    """Ready to be sent. The same notification has the same Message-ID at every attempt."""
    domain = sender.rpartition("@")[2]
    made = EmailMessage(policy=SMTP)
    made["From"] = f"Vigie <{sender}>"
    made["To"] = ", ".join(recipients)
    made["Subject"] = text.title(message)
    made["Date"] = format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC))
    made["Message-ID"] = f"<{_token(message.id)}@{domain}>"
    # The thread begins with a mail that nobody gets: whichever of its mails comes first, all answer the same one.
    thread = f"<{_token(message.thread)}@{domain}>"
    made["In-Reply-To"] = thread
    made["References"] = thread
    made["Auto-Submitted"] = "auto-generated"
    made["X-Vigie-Status"] = message.status.value
    if message.trace_id:
        made["X-Vigie-Trace-Id"] = text.line(message.trace_id, 32)
    made.set_content(text.plain(message), cte="quoted-printable")
    made.add_alternative(html(message), subtype="html", cte="quoted-printable")
    made.set_boundary("=" + "-" * 8 + _token(message.id)[:40])  # no chance: the same message gives the same bytes
    return made


def html(message: Message) -> str:
    """The same words as the text, in a layout that mail programs understand."""
    colour = "#2eb886" if message.status is Status.RESOLVED else "#d50200"
    parts = [
        '<!DOCTYPE html><html><body style="font-family:sans-serif;font-size:14px">',
        f'<h2 style="border-left:6px solid {colour};padding-left:8px">{escape(text.title(message))}</h2>',
        *(_alert(alert) for alert in message.alerts[: text.MAX_SHOWN]),
    ]
    parts += [f"<p>{escape(foot)}</p>" for foot in (text.more(message), text.foot(message)) if foot]
    return "\n".join([*parts, "</body></html>", ""])


def _alert(alert: Alert) -> str:
    told = [text.summary(alert), text.description(alert)]
    rows = [*text.facts(alert), *text.labels(alert)]
    table = "\n".join(
        f'<tr><td style="{_CELL}"><b>{escape(name)}</b></td><td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    )
    links = " ".join(f'<a href="{escape(address)}">{name}</a>' for name, address in text.links(alert))
    paragraphs = "\n".join(f"<p>{escape(words)}</p>".replace("\n", "<br>\n") for words in told if words)
    return f"{paragraphs}\n<table>\n{table}\n</table>" + (f"\n<p>{links}</p>" if links else "")


def _token(name: str) -> str:
    """`name` as a part of a message id."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", name)[:100]
