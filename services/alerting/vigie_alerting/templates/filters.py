"""The functions of templates: Prometheus' by their names, and a few of Jinja's. Each bounds what it makes.

The subject comes first, as a Jinja filter has it: Go's `reReplaceAll PATTERN REPLACEMENT TEXT` is
`TEXT | reReplaceAll(PATTERN, REPLACEMENT)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import re2

from vigie_alerting.templates import numbers
from vigie_alerting.templates.errors import InvalidTemplateError

MAX_CHARS: Final = 16_384
"""Of any text on the way."""
_MAX_WIDTH: Final = 100
_VERB: Final = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<verb>.?)", re.DOTALL)
_GROUP: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_MAX_REGEX_BYTES: Final = 1 << 16


def text(value: Any) -> str:
    """As a template prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, float):
        return numbers.number(value)
    return str(value)


def bounded(made: str) -> str:
    if len(made) > MAX_CHARS:
        raise InvalidTemplateError(f"the text becomes longer than {MAX_CHARS:,} characters")
    return made


def to_float(value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidTemplateError(f"{str(value)[:40]!r} is no number") from None


def _of_number(function: Callable[[float], str]) -> Callable[[Any], str]:
    return lambda value: function(to_float(value))


def printf(value: Any, form: Any, *others: Any) -> str:
    """Go's printf with the last argument first: `value | printf("%.2f")`."""
    arguments = iter((*others, value))
    made: list[str] = []
    at = 0
    for found in _VERB.finditer(bounded(str(form))):
        made.append(form[at : found.start()])
        at = found.end()
        made.append("%" if found["verb"] == "%" else _formatted(found, arguments))
    return bounded("".join((*made, form[at:])))


_MISSING: Final = object()


def _formatted(found: re.Match[str], arguments: Any) -> str:
    verb, flags = found["verb"], found["flags"].replace("#", "")
    width, precision = int(found["width"] or 0), int(found["precision"] or 0)
    if verb not in tuple("sdvqfFeEgGtx") or max(width, precision) > _MAX_WIDTH:
        raise InvalidTemplateError(f"printf does not take {found.group()[:20]!r}")
    value = next(arguments, _MISSING)
    if value is _MISSING:
        return f"%!{verb}(MISSING)"
    shape = found["precision"] is not None
    match verb:
        case "d" | "x":
            if isinstance(value, float) or not isinstance(value, int):
                raise InvalidTemplateError(f"printf's %{verb} takes a whole number, not {text(value)[:40]!r}")
            made = format(value, _sign(flags) + verb)
        case "e" | "E" | "f" | "F" | "g" | "G":
            made = _float(to_float(value), verb, flags, precision if shape else None)
        case "q":
            made = '"' + text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            made = text(value)
            made = made[:precision] if shape else made
    if "-" in flags:
        return made.ljust(width)
    if "0" in flags and verb not in tuple("svqt") and made[-1].isdigit():
        return made.zfill(width)
    return made.rjust(width)


def _float(value: float, verb: str, flags: str, precision: int | None) -> str:
    sign = _sign(flags)
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is what differs from itself
        return numbers.four(value)
    if precision is None and verb in "gG":
        made = numbers.number(value)
        return sign + made if sign and not made.startswith("-") else made
    return format(value, f"{sign}.{6 if precision is None else precision}{verb}")


def _sign(flags: str) -> str:
    return "+" if "+" in flags else " " if " " in flags else ""


def re_replace_all(subject: Any, pattern: Any, replacement: Any) -> str:
    """Every match of an RE2 expression, replaced; `$1` and `${name}` are its groups."""
    options = re2.Options()
    options.max_mem = _MAX_REGEX_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(str(pattern), options)
    except re2.error:
        raise InvalidTemplateError(f"{str(pattern)[:60]!r} is not a regular expression that RE2 takes") from None
    made: list[str] = []
    size = at = 0
    subject = text(subject)
    for found in compiled.finditer(subject):
        for part in (subject[at : found.start()], _expanded(found, str(replacement))):
            made.append(part)
            size += len(part)
        at = found.end()
        if size > MAX_CHARS:
            break
    return bounded("".join((*made, subject[at:])))


def _expanded(found: Any, replacement: str) -> str:
    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _GROUP.sub(group, replacement)


def match(subject: Any, pattern: Any) -> bool:
    """Whether an RE2 expression is found somewhere in the text."""
    try:
        return re2.search(str(pattern), text(subject)) is not None
    except re2.error:
        raise InvalidTemplateError(f"{str(pattern)[:60]!r} is not a regular expression that RE2 takes") from None


def strip_port(value: Any) -> str:
    """`host:9100` is `host`."""
    whole = text(value)
    if whole.startswith("["):
        return whole[1:].partition("]")[0]
    host, colon, port = whole.rpartition(":")
    return host if colon and ":" not in host and port.isdigit() else whole


def replaced(value: Any, old: Any, new: Any) -> str:
    whole, old, new = text(value), text(old), text(new)
    if len(whole) + whole.count(old) * (len(new) - len(old)) > MAX_CHARS:
        raise InvalidTemplateError(f"the text becomes longer than {MAX_CHARS:,} characters")
    return whole.replace(old, new)


def default(value: Any, other: Any = "") -> Any:
    """`other` where there is none, or an empty one."""
    return other if value is None or text(value) == "" else value


def rounded(value: Any, places: Any = 0) -> float:
    digits = int(to_float(places))
    if abs(digits) > _MAX_WIDTH:
        raise InvalidTemplateError(f"round does not take {digits} places")
    return round(to_float(value), digits)


def title(value: Any) -> str:
    """Each word with a capital, the rest as it is, as Go does it."""
    return re.sub(r"(?<!\w)\w", lambda first: first.group().upper(), text(value))


def unchanged(value: Any) -> Any:
    return value


PROMETHEUS: Final[dict[str, Callable[..., Any]]] = {
    "humanize": _of_number(numbers.humanize),
    "humanize1024": _of_number(numbers.humanize1024),
    "humanizeDuration": _of_number(numbers.humanize_duration),
    "humanizePercentage": _of_number(numbers.humanize_percentage),
    "humanizeTimestamp": _of_number(numbers.humanize_timestamp),
    "printf": printf,
    "title": title,
    "toUpper": lambda value: text(value).upper(),
    "toLower": lambda value: text(value).lower(),
    "reReplaceAll": re_replace_all,
    "match": match,
    "stripPort": strip_port,
    "safeHtml": unchanged,
    "len": lambda value: len(value) if hasattr(value, "__len__") else len(text(value)),
}
"""Functions of Prometheus' templates."""

JINJA: Final[dict[str, Callable[..., Any]]] = {
    "upper": PROMETHEUS["toUpper"],
    "lower": PROMETHEUS["toLower"],
    "trim": lambda value: text(value).strip(),
    "replace": replaced,
    "default": default,
    "round": rounded,
    "truncate": lambda value, size=255: text(value)[: min(int(to_float(size)), MAX_CHARS)],
}
FILTERS: Final = {**PROMETHEUS, **JINJA}
