"""The status page as HTML: no script, nothing from elsewhere, and all that people wrote is escaped."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from math import floor
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from vigie_query.times import DAY, HOUR, MINUTE, SECOND, iso

from vigie_healthcheck.readings import Days
from vigie_healthcheck.status.model import Service, Shown, StatusPage

_FILES: Final = files(__package__ or __name__)
_STYLE: Final = _FILES.joinpath("page.css").read_text(encoding="utf-8")
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""What browsers are told that the page needs: its one style, by its hash."""
OVERALL: Final = {
    Shown.UP: "All services work",
    Shown.DEGRADED: "Some services are slow or limited",
    Shown.DOWN: "Some services are down",
    Shown.MAINTENANCE: "Maintenance goes on",
    Shown.UNKNOWN: "Nothing is known at the moment",
}
STATES: Final = {
    Shown.UP: "Works",
    Shown.DEGRADED: "Limited",
    Shown.DOWN: "Down",
    Shown.MAINTENANCE: "Maintenance",
    Shown.UNKNOWN: "Not known",
}
_MARKS: Final = {
    Shown.UP: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM6.9 11.9 3.4 8.4l1.3-1.3 2.2 2.2 4.6-4.6 1.3 1.3z",
    Shown.DEGRADED: "M8 .8 16 15H0zM7.1 6v4.2h1.8V6zm0 5.4v1.8h1.8v-1.8z",
    Shown.DOWN: "M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7zM5 3.8 3.8 5l3 3-3 3L5 12.2l3-3 3 3 1.2-1.2-3-3 3-3L11 "
    "3.8l-3 3z",
    Shown.MAINTENANCE: "M0 0h16v16H0zM4.5 3.5v9h2.4v-9zm4.6 0v9h2.4v-9z",
    Shown.UNKNOWN: "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM3.5 7.1h9v1.8h-9z",
}
"""Shapes that differ without their colours."""
_GOOD, _FAIR = 100.0, 99.0
_MAX_LISTED: Final = 10


def html(page: StatusPage) -> str:
    """The page."""
    return _PAGE.render(page=page, base=quote(page.tenant, safe=""))


def percent(share: float | None) -> str:
    """`99.98 %`, rounded down."""
    return "not known" if share is None else f"{floor(round(share * 10_000) / 100) / 100:g} %"


def in_known_days(days: Days) -> str:
    """`99.98 % in 90 days`: in as many as something is known of."""
    known = sum(share is not None for share in days.each)
    return percent(days.percent) + (f" in {known} day{'' if known == 1 else 's'}" if known else "")


def moment(ms: int) -> str:
    """`3 Nov 2026, 14:05`."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{at.day} {at:%b %Y, %H:%M}"


def _moment_after(ms: int, before_ms: int) -> str:
    """Without the day, where that is the same."""
    day, time = moment(ms).split(", ")
    return time if moment(before_ms).startswith(f"{day},") else f"{day}, {time}"


def length_of(ms: int) -> str:
    """`2 d 3 h`, `5 min`, `40 s`: the two largest units."""
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        count, ms = divmod(max(0, ms), unit)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "less than a second"


def bars_in_words(service: Service, at_ms: int) -> str:
    """What the bars of the days show."""
    each = service.days.each
    if service.days.percent is None:
        return f"Uptime of {service.name} in the last {len(each)} days: not known"
    bad = [
        f"{_day_before(back, at_ms)} {percent(share)}"
        for back, share in enumerate(reversed(each))
        if share is not None and share < _GOOD
    ]
    more = f" and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
    unknown = sum(share is None for share in each)
    days = "no day with failures" if not bad else f"days with failures: {', '.join(bad[:_MAX_LISTED])}{more}"
    not_known = f"; {unknown} days are not known" if unknown else ""
    return f"Uptime of {service.name} in the last {len(each)} days: {percent(service.days.percent)}, {days}{not_known}"


def _bar(share: float | None) -> str:
    return "none" if share is None else "all" if share >= _GOOD else "few" if share >= _FAIR else "many"


def _day_before(days: int, at_ms: int) -> str:
    at = datetime.fromtimestamp((at_ms - days * DAY) / 1000, UTC)
    return f"{at.day} {at:%b}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")


_ENVIRONMENT: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters |= {
    "iso": iso,
    "moment": moment,
    "moment_after": _moment_after,
    "length_of": length_of,
    "percent": percent,
    "in_known_days": in_known_days,
    "bar": _bar,
    "day_before": _day_before,
    "bars_in_words": bars_in_words,
    "sentence": _sentence,
}
_ENVIRONMENT.globals |= {"OVERALL": OVERALL, "STATES": STATES, "MARKS": _MARKS, "STYLE": Markup(_STYLE)}  # noqa: S704 - our own file
_PAGE: Final = _ENVIRONMENT.from_string(_FILES.joinpath("page.html").read_text(encoding="utf-8"))
