"""The CloudEvents headers of a Kafka record (binary content mode): every record on the bus carries them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import uuid4

Headers = list[tuple[str, bytes]]


def cloudevent_headers(
    *,
    source: str,
    type_: str,
    time_ms: int,
    content_type: str,
    id_: str | None = None,
    subject: str | None = None,
) -> Headers:
    """Headers for a new record. `source` is the writing service (`/vigie/ingest`), `type_` names the message and its
    version (`vigie.samples.v1`). Trace context is added by the runtime, not here."""
    time = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id_ or uuid4().hex,
        "ce_source": source,
        "ce_type": type_,
        "ce_time": time,
        "content-type": content_type,
    }
    if subject is not None:
        headers["ce_subject"] = subject
    return [(name, value.encode()) for name, value in headers.items()]


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The first header of that name as text, or None when it is absent, null or not UTF-8."""
    for key, value in headers:
        if key == name and value is not None:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None
