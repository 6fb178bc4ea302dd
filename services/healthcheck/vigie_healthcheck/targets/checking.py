"""What a target may be: every bound, each with its sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from vigie_contracts import days
from vigie_contracts.series import InvalidSeriesError, Kind, series_key
from vigie_contracts.targets import (
    HEARTBEAT,
    MAX_INTERVAL_MS,
    MAX_TIMEOUT_MS,
    MIN_INTERVAL_MS,
    Maintenance,
    Secrets,
    Target,
)
from vigie_storage.health import sightings

from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.registry import SCHEMES
from vigie_healthcheck.regions import HERE
from vigie_healthcheck.targets.problems import TargetProblem

KINDS: Final = (*sorted(set(SCHEMES.values()) | {"tls"}), HEARTBEAT)
MAX_NAME_CHARS: Final = 200
MAX_HEARTBEAT_MS: Final = 31 * 24 * 3_600_000
"""The longest interval of a heartbeat, and the longest time that it may be late."""
MAX_RETRIES: Final = 10
MAX_THRESHOLD: Final = 100
MAX_REDIRECTS: Final = 20
MAX_PARENTS: Final = 20
MAX_REGIONS: Final = sightings.MAX_REGIONS
MAX_MAINTENANCE: Final = 20
MAX_OPTIONS: Final = 20
MAX_HEADERS: Final = 50
MAX_SECRET_BYTES: Final = 64 * 1024
"""Of all that is secret of a target."""
_DAY_MS: Final = 24 * 3_600_000
_MAX_EXPIRY_MS: Final = 3_650 * _DAY_MS
_MAX_TEXT_CHARS: Final = 1_000
_OURS: Final = ("target", "kind", "group", "phase")
"""Labels that Vigie sets."""
_TAKEN: Final = frozenset({"export", "import", ".", ".."})
"""Names that mean something else in a path."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_METHOD: Final = re.compile(r"[A-Z]{1,20}")


def problems_of(target: Target, secrets: Secrets) -> list[TargetProblem]:
    """All that is wrong with it but its URL and its dependencies."""
    found = [*_name(target.name), *_times(target), *_numbers(target), *_texts(target), *_labels(target)]
    found += _regions(target)
    found += [TargetProblem(f"expect.{field}", reason) for field, reason in conditions.check(target.expect)]
    found += [one for at, window in enumerate(target.maintenance) for one in _maintenance(f"maintenance[{at}]", window)]
    return [*found, *_secrets(secrets)]


def _name(name: str) -> Iterator[TargetProblem]:
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        yield TargetProblem("name", f"must have 1 to {MAX_NAME_CHARS} printable characters")
    elif name in _TAKEN:
        yield TargetProblem("name", f"must not be {name!r}, which means something else in the path of a URL")


def _times(target: Target) -> Iterator[TargetProblem]:
    beat = target.kind == HEARTBEAT
    longest = MAX_HEARTBEAT_MS if beat else MAX_INTERVAL_MS
    if not MIN_INTERVAL_MS <= target.interval_ms <= longest:
        days_ = longest // _DAY_MS
        most = f"{days_} days" if beat else "24 hours"
        yield TargetProblem("interval", f"must be from 1 second (1000) to {most} ({longest}), in milliseconds")
    if beat:
        if not 0 <= target.timeout_ms <= longest:
            yield TargetProblem("timeout", f"must be from 0 to {longest} milliseconds: how late a heartbeat may be")
    elif not 1 <= target.timeout_ms <= MAX_TIMEOUT_MS:
        yield TargetProblem("timeout", f"must be from 1 to {MAX_TIMEOUT_MS}, in milliseconds")
    elif target.timeout_ms > target.interval_ms:
        yield TargetProblem("timeout", "must not be longer than the interval")


def _numbers(target: Target) -> Iterator[TargetProblem]:
    bounds: Mapping[str, tuple[int, int, int]] = {
        "retries": (target.retries, 0, MAX_RETRIES),
        "failureThreshold": (target.failure_threshold, 1, MAX_THRESHOLD),
        "successThreshold": (target.success_threshold, 1, MAX_THRESHOLD),
        "maxRedirects": (target.max_redirects, 0, MAX_REDIRECTS),
    }
    for field, (value, least, most) in bounds.items():
        if not least <= value <= most:
            yield TargetProblem(field, f"must be from {least} to {most}")
    if target.expect.expires_within_ms > _MAX_EXPIRY_MS:
        yield TargetProblem("expect.expiresWithinMs", f"must be at most {_MAX_EXPIRY_MS}: ten years")
    lists = {
        "dependsOn": (target.depends_on, MAX_PARENTS),
        "maintenance": (target.maintenance, MAX_MAINTENANCE),
        "options": (target.options, MAX_OPTIONS),
    }
    for field, (given, most) in lists.items():
        if len(given) > most:
            yield TargetProblem(field, f"must have at most {most} entries")


def _regions(target: Target) -> Iterator[TargetProblem]:
    if len(target.regions) > MAX_REGIONS or len(set(target.regions)) < len(target.regions):
        yield TargetProblem("regions", f"must be at most {MAX_REGIONS}, each once")
    for at, region in enumerate(target.regions):
        if not region_named(region):
            yield TargetProblem(f"regions[{at}]", f"must be 1 to 64 letters, digits, _, . and -, and not {HERE}")
    if target.regions and target.kind == HEARTBEAT:
        yield TargetProblem("regions", "are of no use to a heartbeat: it is not asked, but heard of")
    if not 0 <= target.quorum <= target.places:
        yield TargetProblem(
            "quorum", f"must be from 1 to {target.places}: here, and the regions; 0: more than half of those that know"
        )


def region_named(text: str) -> bool:
    """Whether a region may be called so."""
    return bool(_REGION.fullmatch(text)) and text != HERE


def _texts(target: Target) -> Iterator[TargetProblem]:
    if target.kind not in KINDS:
        yield TargetProblem("kind", f"must be one of {', '.join(KINDS)}")
    if not _METHOD.fullmatch(target.method):
        yield TargetProblem("method", "must be a method of HTTP in capital letters: GET, HEAD, POST")
    if len(target.group) > MAX_NAME_CHARS or not target.group.isprintable():
        yield TargetProblem("group", f"must have at most {MAX_NAME_CHARS} printable characters")
    if len(target.description) > _MAX_TEXT_CHARS or not _storable(target.description):
        yield TargetProblem("description", f"must have at most {_MAX_TEXT_CHARS:,} characters")
    for name, value in target.options.items():
        if not 1 <= len(name) <= 64 or not name.isprintable() or len(value) > _MAX_TEXT_CHARS or not _storable(value):
            yield TargetProblem(
                "options", f"must have names of 1 to 64 and texts of at most {_MAX_TEXT_CHARS:,} characters"
            )
            return


def _labels(target: Target) -> Iterator[TargetProblem]:
    for name in _OURS:
        if name in target.labels:
            yield TargetProblem(f"labels.{name}", "is set by Vigie: take another name")
    try:
        ours = {"target": target.name, "kind": target.kind, "group": target.group, "phase": "processing"}
        series_key("default", "probe_success", Kind.GAUGE, {**target.labels, **ours})
    except InvalidSeriesError as e:
        yield TargetProblem(e.field, e.reason)


def _maintenance(field: str, window: Maintenance) -> Iterator[TargetProblem]:
    length = window.ends_at - window.starts_at
    if window.starts_at < 0 or window.ends_at > 253_402_300_799_000 or length <= 0:
        yield TargetProblem(f"{field}.endsAt", "must be after startsAt, and before the year 10000")
    if window.daily and window.weekly:
        yield TargetProblem(f"{field}.daily", "is there beside weekly: say one of them")
    elif (window.daily and length > _DAY_MS) or (window.weekly and length > 7 * _DAY_MS):
        yield TargetProblem(f"{field}.endsAt", "must come before the window begins again")
    try:
        days.zone(window.time_zone)
    except days.UnknownZoneError:
        yield TargetProblem(f"{field}.timeZone", "must be the name of a time zone: Europe/Paris")
    if len(window.reason) > MAX_NAME_CHARS or not _storable(window.reason):
        yield TargetProblem(f"{field}.reason", f"must have at most {MAX_NAME_CHARS} characters")


def _secrets(secrets: Secrets) -> Iterator[TargetProblem]:
    if len(secrets.headers) > MAX_HEADERS:
        yield TargetProblem("headers", f"must be at most {MAX_HEADERS}")
    names = [name.lower() for name in secrets.headers]
    if len(set(names)) < len(names):
        yield TargetProblem("headers", "must have each name once: capital letters make no difference")
    for at, (name, value) in enumerate(secrets.headers.items()):
        if not _TOKEN.fullmatch(name) or len(name) > 128:
            yield TargetProblem(f"headers[{at}]", "must have the name of an HTTP header")
        elif not (value.isascii() and value.isprintable()):
            yield TargetProblem(f"headers.{name}", "must be printable ASCII")
    if not all(map(_storable, (secrets.username, secrets.password, secrets.body))):
        yield TargetProblem("password", "username, password and body must be Unicode texts without NUL")
    elif len(msgspec.json.encode(secrets)) > MAX_SECRET_BYTES:
        yield TargetProblem("body", f"headers, login and body must be at most {MAX_SECRET_BYTES:,} bytes together")


def _storable(text: str) -> bool:
    """A lone half of a surrogate pair is no text."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
