"""What is posted, as JSON: each alert is judged alone, and all that is wrong is told at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from vigie_contracts import limits
from vigie_contracts.problems import shortened

from vigie_alerting.external.posted import Posted

MAX_POSTED: Final = 1_000
"""Alerts of one request."""
MAX_ANNOTATIONS_BYTES: Final = 16 * 1024
"""All names and texts of one alert together, bytes of UTF-8."""
MAX_URL_CHARS: Final = 4_096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Alert(msgspec.Struct, rename={"starts_at": "startsAt", "ends_at": "endsAt", "generator_url": "generatorURL"}):
    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    generator_url: str | None = None


_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_alert: Final = msgspec.json.Decoder(_Alert)


class UnreadableError(ValueError):
    """The body as a whole. The text is a sentence."""


def read(body: bytes) -> tuple[list[Posted], list[str]]:
    """The alerts, and what is wrong with the others. Raises UnreadableError."""
    try:
        items = _items.decode(body)
    except (msgspec.DecodeError, RecursionError) as e:
        raise UnreadableError(f"parsing alerts body failed, because {e}") from None
    if len(items) > MAX_POSTED:
        raise UnreadableError(f"{len(items)} alerts in one request, at most {MAX_POSTED:,} are taken")
    found: list[Posted] = []
    problems: list[str] = []
    for index, item in enumerate(items):
        try:
            found.append(_posted(_alert.decode(item)))
        except (msgspec.DecodeError, RecursionError, _InvalidError) as e:
            problems.append(f"alert {index}: {shortened(str(e), limits.MAX_LABEL_VALUE_CHARS)}")
    return found, problems


class _InvalidError(ValueError):
    pass


def _posted(said: _Alert) -> Posted:
    labels = {name: text for name, text in said.labels.items() if text}
    if not labels:
        raise _InvalidError("at least one label pair required")
    if len(labels) > limits.MAX_LABELS:
        raise _InvalidError(f"has {len(labels)} labels, the limit is {limits.MAX_LABELS}")
    _check(labels, "label", limits.MAX_LABELS_BYTES, limits.MAX_LABEL_VALUE_CHARS)
    annotations = said.annotations or {}
    if len(annotations) > limits.MAX_LABELS:
        raise _InvalidError(f"has {len(annotations)} annotations, the limit is {limits.MAX_LABELS}")
    _check(annotations, "annotation", MAX_ANNOTATIONS_BYTES, MAX_ANNOTATIONS_BYTES)
    starts_at, ends_at = _ms(said.starts_at), _ms(said.ends_at)
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise _InvalidError("start time must be before end time")
    url = said.generator_url or ""
    if len(url) > MAX_URL_CHARS:
        raise _InvalidError(f"generatorURL is longer than {MAX_URL_CHARS:,} characters")
    return Posted(tuple(sorted(labels.items())), annotations, starts_at, ends_at, url)


def _check(pairs: Mapping[str, str], what: str, most_bytes: int, most_chars: int) -> None:
    size = 0
    for name, text in pairs.items():
        if not name or len(name) > limits.MAX_LABEL_NAME_CHARS or "=" in name or "\0" in name:
            shown = shortened(name)
            raise _InvalidError(
                f"{what} {shown!r}: its name must have 1 to {limits.MAX_LABEL_NAME_CHARS} characters, without ="
            )
        if len(text) > most_chars or "\0" in text:
            raise _InvalidError(f"{what} {shortened(name)!r}: must have at most {most_chars:,} characters, and no NUL")
        size += len(name.encode()) + len(text.encode())
    if size > most_bytes:
        raise _InvalidError(f"its {what}s are longer than {most_bytes:,} bytes together")


def _ms(time: datetime | None) -> int | None:
    """What is not said is Go's first day of time, or nothing at all."""
    return None if time is None or time <= _EPOCH else (time - _EPOCH) // _MILLISECOND
