"""What was caught, and how it is read: a mail, a call of Slack's webhook, a call of any other. Pure."""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from enum import StrEnum
from typing import Any

from vigie_standalone.inbox import SLACK_PATH

MAX_TEXT_CHARS = 64 * 1024
MAX_LINE_CHARS = 500
MAX_HEADERS = 40
MAX_DEPTH = 40
_SECRET = frozenset({"authorization", "cookie"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, half characters, line breaks: a terminal would obey some of them."""


class Kind(StrEnum):
    """How it came."""

    MAIL = "mail"
    SLACK = "slack"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class Message:
    """One mail or call. Nothing in it is trusted: what is not seen is taken out, and a page has to escape the rest."""

    kind: Kind
    received_ms: int
    sender: str
    """A mail's sender, a caller's User-Agent."""
    to: str
    """A mail's recipients, a call's path."""
    subject: str
    text: str
    """A mail's plain text, the lines of a Slack message, the payload of another call."""
    headers: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Message | None":
        """None when the text is none of ours."""
        try:
            stored = json.loads(text)
            return cls(**{**stored, "kind": Kind(stored["kind"])})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def mail(raw: bytes, sender: str, recipients: Sequence[str], now_ms: int) -> Message:
    """The mail as it was delivered, whatever is in it."""
    parsed = message_from_bytes(raw, policy=default)
    return Message(
        Kind.MAIL,
        now_ms,
        line(sender),
        line(", ".join(recipients)),
        line(str(parsed.get("subject", ""))) or "(no subject)",
        visible(_plain(parsed)),
        _headers((name, str(value)) for name, value in parsed.items()),
    )


def call(path: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Message:
    """A POST. Its payload is laid out when it is JSON."""
    text = body.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = None
    slack = path == SLACK_PATH or path.startswith(f"{SLACK_PATH}/")
    subject = _subject(payload, slack=slack) or f"POST {path}"
    shown = "\n".join(_texts(payload)) if slack else text if payload is None else _laid_out(payload, text)
    kind = Kind.SLACK if slack else Kind.WEBHOOK
    sender = headers.get("user-agent", "")
    return Message(kind, now_ms, line(sender), line(path), line(subject), visible(shown), _headers(headers.items()))


def visible(text: str) -> str:
    """The text without what is not seen, its line breaks and indents kept, with a bound."""
    kept = text[:MAX_TEXT_CHARS].replace("\r\n", "\n").replace("\t", "    ")
    return "".join(c for c in kept if c == "\n" or unicodedata.category(c) not in _INVISIBLE)


def line(text: str) -> str:
    """The text as one line."""
    return visible(" ".join(text[:MAX_LINE_CHARS].split()))


def _plain(parsed: EmailMessage) -> str:
    try:
        part = parsed.get_body(("plain", "html"))
        return "" if part is None else str(part.get_content())
    except (LookupError, ValueError, AttributeError) as error:  # an unknown character set, a part that is none
        return f"(it cannot be read: {error})"


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    named = ((line(name), line(value)) for name, value in pairs if name.lower() not in _SECRET)
    return dict(pair for pair, _ in zip(named, range(MAX_HEADERS), strict=False))


def _subject(payload: Any, *, slack: bool) -> str:
    """What it is about: Slack's fallback text, of Alertmanager's payload the status and the name of the alert."""
    if not isinstance(payload, dict):
        return ""
    if slack:
        return str(payload.get("text") or "")
    labels = payload.get("commonLabels")
    name = labels.get("alertname") if isinstance(labels, dict) else None
    return f"[{str(payload.get('status', '')).upper()}] {name}" if name else ""


def _laid_out(payload: Any, otherwise: str) -> str:
    try:
        return json.dumps(payload, indent=2, ensure_ascii=False)
    except RecursionError:
        return otherwise


def _texts(payload: Any, depth: int = 0) -> Iterator[str]:
    """Every text of a Slack message, in its order."""
    if depth > MAX_DEPTH:
        return
    if isinstance(payload, dict):
        for name, value in payload.items():
            if name == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value, depth + 1)
    elif isinstance(payload, list):
        for value in payload:
            yield from _texts(value, depth + 1)
