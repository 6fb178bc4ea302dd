"""The routes and inhibition rules of a file."""

from __future__ import annotations

from typing import Any, Final

from vigie_query.errors import QueryError
from vigie_query.matchers import Matcher, Operator
from vigie_runtime.yaml_nodes import Mapping

from vigie_alerting.named import normalized
from vigie_alerting.routing.checking import MAX_DEPTH
from vigie_alerting.routing.importing.document import Document
from vigie_alerting.routing.matchers import read, written
from vigie_alerting.routing.model import Route
from vigie_alerting.rules.durations import parse_duration

_FIELDS: Final = frozenset(
    {
        "receiver", "group_by", "match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals",
        "continue", "routes", "group_wait", "group_interval", "repeat_interval", "labels",
    }
)  # fmt: skip
_NOT_OF_ROOT: Final = (
    "match", "match_re", "matchers", "continue", "mute_time_intervals", "active_time_intervals",
)  # fmt: skip
_DEFAULTS: Final = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
"""Alertmanager's, which differ from those of Vigie."""
_INHIBITION: Final = frozenset(
    {
        "name", "source_match", "source_match_re", "source_matchers", "target_match", "target_match_re",
        "target_matchers", "equal",
    }
)  # fmt: skip


def root(document: Document, of: Mapping) -> Route:
    """The tree; what the file leaves to Alertmanager's defaults is said in it."""
    for name in _NOT_OF_ROOT:
        if document.flag(of, name) if name == "continue" else of.get(name):
            document.error(of.lines[name], f"the root route cannot have {name}")
    if not document.text(of, "receiver"):
        document.error(of.line, "the root route needs a receiver")
    return _route(document, of, "route", 0)


def _route(document: Document, of: Mapping, at: str, depth: int) -> Route:
    document.lines |= {at: of.line, f"{at}.matchers": of.lines.get("matchers", of.line)}
    document.unknown(of, _FIELDS, "a route")
    document.left(of, ("labels",), "routes of Vigie add no labels to messages")
    below: list[Route] = []
    if depth < MAX_DEPTH:
        several = document.mappings(of, "routes")
        below = [_route(document, one, f"{at}.routes[{number}]", depth + 1) for number, one in enumerate(several)]
    elif document.items(of, "routes"):
        document.error(of.lines["routes"], f"routes are nested at most {MAX_DEPTH} deep")
    waits = {name: _duration(document, of, name) or (_DEFAULTS[name] if depth == 0 else None) for name in _DEFAULTS}
    return Route(
        matchers=matchers(document, of),
        receiver=document.text(of, "receiver"),
        continue_=document.flag(of, "continue"),
        group_by=document.texts(of, "group_by") if "group_by" in of else None,
        mute_times=[normalized(one) for one in document.texts(of, "mute_time_intervals")],
        active_times=[normalized(one) for one in document.texts(of, "active_time_intervals")],
        routes=below,
        **waits,
    )


def matchers(document: Document, of: Mapping, prefix: str = "") -> list[str]:
    """Those of `match`, `match_re` and `matchers`, with `source_` or `target_` before them. Their expressions are tried
    when the file is judged: many of them need a limited time."""
    found = [written(Matcher(*one, value)) for one, value in _old(document, of, prefix)]
    for text in document.texts(of, f"{prefix}matchers"):
        try:
            found += map(written, read(text))
        except QueryError as e:
            document.error(of.lines[f"{prefix}matchers"], e.detail)
    return found


def inhibition(document: Document, of: Mapping) -> dict[str, Any]:
    """One rule: `name`, `source` and `target` (matchers), `equal`."""
    document.unknown(of, _INHIBITION, "an inhibition rule")
    return {
        "name": document.text(of, "name"),
        "source": matchers(document, of, "source_"),
        "target": matchers(document, of, "target_"),
        "equal": document.texts(of, "equal"),
    }


def _old(document: Document, of: Mapping, prefix: str) -> list[tuple[tuple[str, Operator], str]]:
    equal = document.pairs(of, f"{prefix}match")
    like = document.pairs(of, f"{prefix}match_re")
    return [
        *(((name, Operator.EQUAL), value) for name, value in equal.items()),
        *(((name, Operator.MATCHES), value) for name, value in like.items()),
    ]


def _duration(document: Document, of: Mapping, name: str) -> str | None:
    text = document.text(of, name)
    if not text:
        return None
    try:
        length = parse_duration(text)
    except ValueError as e:
        document.error(of.lines[name], f"{name}: {e}")
        return None
    if length == 0 and name != "group_wait":
        document.error(of.lines[name], f"{name} cannot be zero")
    return text
