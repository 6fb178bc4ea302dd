"""`label_replace` and `label_join`: other labels, the same values."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from vigie_contracts.series import Labels

from vigie_query import matchers
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.joining import relabelled
from vigie_query.promql.labels import get, put
from vigie_query.promql.samples import Vector

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_REFERENCE: Final = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|\{(?P<braced>\w+)\})")


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Where the whole of `source` matches, `target` becomes `replacement`, with `$1` and `${name}` filled in."""
    _check(target, "label_replace")
    match = matchers.capturing(pattern, "query")

    def replaced(labels: Labels) -> Labels:
        found = match(get(labels, source))
        return labels if found is None else put(labels, {target: _expanded(replacement, found)})

    return _with_labels(vector, replaced)


def label_join(vector: Vector, target: str, separator: str, sources: list[str]) -> Vector:
    """`target` becomes the values of `sources`, joined."""
    _check(target, "label_join")
    return _with_labels(
        vector, lambda labels: put(labels, {target: separator.join(get(labels, source) for source in sources)})
    )


def _with_labels(vector: Vector, change: Callable[[Labels], Labels]) -> Vector:
    return relabelled(vector, [change(labels) for labels in vector.labels])


def _check(label: str, function: str) -> None:
    if not _LABEL.match(label):
        raise InvalidExpression(f"{function}: {label!r} is not the name of a label")


def _expanded(template: str, match: Any) -> str:
    """As Go's `Expand`: groups that did not take part, or do not exist, are empty."""

    def value(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["name"] or reference["braced"]
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(value, template)
