"""`label_replace` and `label_join`: other labels, the same values."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from vigie_contracts.series import Labels

from vigie_query import matchers
from vigie_query.promql.joining import relabelled
from vigie_query.promql.labels import check_label, check_value, get, put
from vigie_query.promql.samples import Vector

_REFERENCE: Final = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|\{(?P<braced>\w+)\})")


Check: TypeAlias = Callable[[], None]
"""Called for every series, as an expression may take long; raises when the time is over."""


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str, *, check: Check) -> Vector:
    """Where the whole of `source` matches, `target` becomes `replacement`, with `$1` and `${name}` filled in."""
    check_label(target, "label_replace")
    match = matchers.capturing(pattern, "query")
    known: dict[str, str | None] = {}

    def replaced(labels: Labels) -> Labels:
        value = get(labels, source)
        if value not in known:
            found = match(value)
            check()
            known[value] = None if found is None else _expanded(replacement, found)
        changed = known[value]
        return labels if changed is None else put(labels, {target: changed})

    return relabelled(vector, [replaced(labels) for labels in vector.labels])


def label_join(vector: Vector, target: str, separator: str, sources: list[str], *, check: Check) -> Vector:
    """`target` becomes the values of `sources`, joined."""
    for label in (target, *sources):
        check_label(label, "label_join")

    def changed(labels: Labels) -> Labels:
        check()
        values = [get(labels, source) for source in sources]
        check_value(sum(map(len, values)) + len(separator) * (len(values) - 1), "label_join")
        return put(labels, {target: separator.join(values)})

    return relabelled(vector, [changed(labels) for labels in vector.labels])


def _expanded(template: str, match: Any) -> str:
    """As Go's `Expand`: groups that did not take part, or do not exist, are empty."""

    longest = max(map(len, (match.group(0), *(text or "" for text in match.groups()))))
    check_value(len(template) + longest * template.count("$"), "label_replace")

    def value(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["name"] or reference["braced"]
        try:
            return match.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, KeyError, OverflowError):
            return ""

    return _REFERENCE.sub(value, template)
