"""What an answer must be: read once, checked for the form, and judged. Pure.

Regular expressions are RE2's: linear time, without backreferences and look-around. Linear is not fast: one may take
half a second for a large answer, so `unmet` runs beside the event loop (`judging.py`), and what would take longer is
not begun.
"""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import re2
from vigie_contracts.targets import Expectations, JsonCondition

from vigie_healthcheck.probes import jsonpath

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of an answer: what is kept and judged. A longer one is down."""
MAX_CONDITIONS: Final = 16
"""Entries of each list."""
MAX_REGEX_CHARS: Final = 1_000
_REGEX_BYTES: Final = 1 << 16
"""Memory of one compiled expression; RE2 refuses those that need more."""
_MAX_WORK: Final = 200_000_000
"""Length of an answer times the size of an expression's program: at most 7 ns each, mostly far less. Expressions of
100 plain characters may search the largest answer."""
_UNICODE_CLASS: Final = re.compile(r"\\[pP]")
_MAX_UNICODE_CLASSES: Final = 16
"""`\\pL` and the like in one expression: each costs 0.25 ms to compile, and no other thread runs meanwhile."""
_STATUS: Final = re.compile(r"([1-9])xx|([1-9]\d\d)(?:-([1-9]\d\d))?", re.IGNORECASE)
_SUCCESS: Final = ((200, 299),)
_SHOWN_CHARS: Final = 80


class TooMuchWork(Exception):  # noqa: N818 - named after what is wrong
    """An expression would take too long for an answer of this length."""


def check(expect: Expectations) -> list[tuple[str, str]]:
    """What is wrong with expectations: the field, as it is written in JSON (`bodyMatches[1]`, `json[0].path`), and a
    sentence. Empty when nothing is."""
    return list(_problems(expect))


def _problems(expect: Expectations) -> Iterator[tuple[str, str]]:
    lists: dict[str, Sequence[str | JsonCondition]] = {
        "statuses": expect.statuses, "bodyMatches": expect.body_matches, "bodyNotMatches": expect.body_not_matches,
        "json": expect.json,
    }  # fmt: skip
    for field, given in lists.items():
        if len(given) > MAX_CONDITIONS:
            yield field, f"more than {MAX_CONDITIONS} are not looked at"
            return
        for i, one in enumerate(given):
            try:
                if isinstance(one, JsonCondition):
                    jsonpath.parse(one.path)
                elif field == "statuses":
                    _status_range(one)
                else:
                    _regex(one)
            except ValueError as e:
                yield f"{field}[{i}]" + (".path" if isinstance(one, JsonCondition) else ""), str(e)
    for i, one in enumerate(expect.json):
        if isinstance(one.equals, float) and not math.isfinite(one.equals):
            yield f"json[{i}].equals", "must be a number that JSON has"
    if not 0 <= expect.max_bytes <= MAX_BODY_BYTES:
        yield "maxBytes", f"must be from 0 to {MAX_BODY_BYTES}: no more of an answer is read"
    if not (expect.slow_ms >= 0 and math.isfinite(expect.slow_ms)):
        yield "slowMs", "must be milliseconds, or 0 for never"
    if expect.expires_within_ms < 0:
        yield "expiresWithinMs", "must be milliseconds, or 0 for never"


def status_wanted(expect: Expectations, status: int) -> bool:
    """Whether HTTP may answer with this status. Raises ValueError for statuses that `check` refuses."""
    return any(least <= status <= most for least, most in _statuses(tuple(expect.statuses)))


@lru_cache(maxsize=1024)
def _statuses(texts: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(map(_status_range, texts)) or _SUCCESS


def _status_range(text: str) -> tuple[int, int]:
    read = _STATUS.fullmatch(text)
    if read is None:
        raise ValueError("a status is written as 200, 2xx or 200-204")
    hundred, first, last = read.groups()
    least, most = (int(hundred) * 100, int(hundred) * 100 + 99) if hundred else (int(first), int(last or first))
    if least > most:
        raise ValueError("a range of statuses begins with the smaller one, as in 200-204")
    return least, most


def any_of_body(expect: Expectations) -> bool:
    """Whether something is said of what the answer contains."""
    return bool(expect.body_matches or expect.body_not_matches or expect.json)


def unmet(expect: Expectations, body: bytes, go_on: Callable[[], None]) -> str:
    """The sentence of the first condition that the answer does not meet, "" when it meets all. `go_on` is called after
    each expression, and may raise. Raises TooMuchWork, and ValueError for expectations that `check` refuses."""
    for wanted, patterns in ((True, expect.body_matches), (False, expect.body_not_matches)):
        for pattern in patterns:
            regex = _regex(pattern)
            if regex.programsize * len(body) > _MAX_WORK:
                raise TooMuchWork
            found = regex.search(body) is not None
            go_on()
            if found is not wanted:
                return f"the answer {'does not match' if wanted else 'matches'} {_shown(pattern)}"
    return _unmet_json(expect.json, body) if expect.json else ""


def _unmet_json(wanted: Sequence[JsonCondition], body: bytes) -> str:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "the answer is not JSON"
    for one in wanted:
        value = jsonpath.find(document, jsonpath.parse(one.path))
        if value is jsonpath.MISSING:
            return f"the answer has no {_shown(one.path)}"
        if not _equal(one.equals, value):
            return f"{_shown(one.path)} is not {_shown(str(one.equals))}"
    return ""


def _equal(wanted: str | float | bool | None, value: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, str) and isinstance(value, (int, float)):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return wanted == value


def slow(expect: Expectations, seconds: float) -> str:
    """The sentence for an answer that took too long; "" for one that did not."""
    if not expect.slow_ms or seconds * 1000 <= expect.slow_ms:
        return ""
    return f"it took {seconds * 1000:.0f} ms, longer than {expect.slow_ms:g} ms"


def ending(expect: Expectations, expires_at: float | None, now: float) -> str:
    """The sentence for a certificate that ends so soon; "" for others. Times are seconds since the Unix epoch."""
    if not expect.expires_within_ms or expires_at is None or expires_at - now > expect.expires_within_ms / 1000:
        return ""
    days, left = (expires_at - now) / 86_400, (expires_at - now) / 3_600
    if left <= 0:
        return "the certificate has expired"
    return f"the certificate ends in {f'{days:.0f} days' if days >= 2 else f'{left:.0f} hours'}"


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re2._Regexp:  # pyright: ignore[reportPrivateUsage] - the library names no other
    if len(pattern) > MAX_REGEX_CHARS or len(_UNICODE_CLASS.findall(pattern)) > _MAX_UNICODE_CLASSES:
        raise ValueError(
            f"the expression is longer than {MAX_REGEX_CHARS} characters, or has more than {_MAX_UNICODE_CLASSES} "
            "Unicode classes (\\p)"
        )
    options = re2.Options()
    options.max_mem = _REGEX_BYTES
    options.log_errors = False
    options.dot_nl = True
    options.never_capture = True
    try:
        return re2.compile(pattern, options)
    except re2.error as e:
        reason = e.args[0].decode(errors="replace") if e.args and isinstance(e.args[0], bytes) else str(e)
        raise ValueError(f"not a regular expression that RE2 takes: {reason}") from None


def _shown(text: str) -> str:
    """As it stands in a sentence: short, in one line."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= _SHOWN_CHARS else plain[: _SHOWN_CHARS - 1] + "…"
