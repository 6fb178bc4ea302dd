"""The inbox as a page: no scripts, nothing from elsewhere, and nothing of a message that is not escaped."""

import html
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import parse_qs

from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.inbox.messages import Message

SHOWN = 100
"""Messages in the list, the newest."""
PATH = "/inbox"
MAX_DIGITS = 9
_REFRESH_S = 3
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; vertical-align: top }
tr { border-bottom: 1px solid #8884 } pre { padding: .8rem; border: 1px solid #8886; white-space: pre-wrap }
dt { font-weight: bold } dd { margin: 0 0 .3rem; overflow-wrap: anywhere }
"""


def answer(mailbox: Mailbox, query: bytes) -> str | None:
    """The page for the query string: the list, or with `message=N` one message; None when that is not there."""
    asked = parse_qs(query.decode("latin-1")).get("message")
    if asked is None:
        newest = reversed(mailbox.numbers()[-SHOWN:])
        return list_page((number, found) for number in newest if (found := mailbox.get(number)) is not None)
    number = int(asked[0]) if asked[0].isascii() and asked[0].isdigit() and len(asked[0]) < MAX_DIGITS else 0
    message = mailbox.get(number)
    return None if message is None else message_page(number, message)


def list_page(messages: Iterable[tuple[int, Message]]) -> str:
    """The newest messages, newest first; the browser asks again by itself."""
    rows = "".join(_row(number, message) for number, message in messages)
    table = f"<table><tr><th>at</th><th>by</th><th>to</th><th>subject</th></tr>{rows}</table>"
    empty = "<p>Nothing was caught yet. <code>vigie incident service-down</code> makes an alert fire.</p>"
    return _page("Inbox", table if rows else empty, refresh=True)


def message_page(number: int, message: Message) -> str:
    """The whole of one."""
    facts = {"at": _at(message), "by": message.kind.value, "from": message.sender, "to": message.to}
    listed = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    headers = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in message.headers.items()
    )
    return _page(
        message.subject,
        f'<p><a href="{PATH}">Inbox</a> · message {number}</p><dl>{listed}</dl><pre>{html.escape(message.text)}</pre>'
        f"<details><summary>Headers</summary><dl>{headers}</dl></details>",
    )


def _row(number: int, message: Message) -> str:
    return (
        f"<tr><td>{_at(message)}</td><td>{message.kind.value}</td><td>{html.escape(message.to)}</td>"
        f'<td><a href="{PATH}?message={number}">{html.escape(message.subject)}</a></td></tr>'
    )


def _at(message: Message) -> str:
    return datetime.fromtimestamp(message.received_ms / 1000).astimezone().strftime("%H:%M:%S")


def _page(title: str, body: str, *, refresh: bool = False) -> str:
    again = f'<meta http-equiv="refresh" content="{_REFRESH_S}">' if refresh else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{again}'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
