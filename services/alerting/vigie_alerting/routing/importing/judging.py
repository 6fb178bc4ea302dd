"""What was read of a file, judged: every mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vigie_contracts.limits import MAX_LABEL_NAME_CHARS
from vigie_query.errors import InvalidParameter, QueryError
from vigie_runtime.expressions import Check

from vigie_alerting.inhibition import MAX_EQUAL, Inhibition
from vigie_alerting.named import name_of
from vigie_alerting.routing import matchers
from vigie_alerting.routing.checking import Known, checked
from vigie_alerting.routing.errors import InvalidRoutes
from vigie_alerting.routing.importing.document import Document
from vigie_alerting.routing.importing.reading import Read, read
from vigie_alerting.routing.model import RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.errors import InvalidRuleFile
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.silences.checking import checked_matchers
from vigie_alerting.times.interval import TimeInterval
from vigie_alerting.times.reading import interval

IMPORTED: Final = "alertmanager-"
"""Begins the names of inhibition rules that have none in the file."""


def refuse(document: Document) -> None:
    """Raises InvalidRuleFile when there are mistakes."""
    errors = [one for one in document.findings if one.error]
    if errors:
        raise InvalidRuleFile(sorted(errors, key=lambda one: one.line))


def times(found: Read) -> dict[str, TimeInterval]:
    """The time intervals by name, those that are right; the others are findings."""
    made: dict[str, TimeInterval] = {}
    for name, placed in found.times.items():
        try:
            made[name_of(name)] = interval(placed.value, name)
        except QueryError as e:
            found.document.error(placed.line, e.detail)
    return made


def inhibitions(found: Read, check: Check = lambda: None) -> dict[str, tuple[int, Inhibition]]:
    """The inhibition rules by name, with their lines, judged as those that are sent by themselves; those that are wrong
    are findings. `check` is called for each; it may raise."""
    made: dict[str, tuple[int, Inhibition]] = {}
    for number, placed in enumerate(found.inhibitions, 1):
        check()
        try:
            name = name_of(placed.value["name"] or f"{IMPORTED}{number}")
            rule = _inhibition(placed.value)
        except QueryError as e:
            found.document.error(placed.line, e.detail)
            continue
        if name in made:
            found.document.error(placed.line, f"there are two inhibition rules {name!r}")
        made[name] = placed.line, rule
    return made


def _inhibition(said: Mapping[str, Any]) -> Inhibition:
    equal = tuple(dict.fromkeys(said["equal"]))
    if len(equal) > MAX_EQUAL or not all(0 < len(one) <= MAX_LABEL_NAME_CHARS for one in equal):
        reason = f"at most {MAX_EQUAL} names of labels, each of 1 to {MAX_LABEL_NAME_CHARS} characters"
        raise InvalidParameter("equal", reason)
    source, target = (
        checked_matchers(matchers.read(said[side], f"{side}_matchers"), f"{side}_matchers")
        for side in ("source", "target")
    )
    return Inhibition(source=source, target=target, equal=equal)


def judged(
    document: Document, tree: RoutingTree, known: Known, check: Check = lambda: None
) -> tuple[Routes, list[RuleProblem]]:
    """The routes, and warnings; `check` as for `checked`. Raises InvalidRuleFile."""
    made: tuple[Routes, list[RuleProblem]] = Routes(), []
    try:
        made = checked(tree, known, check)
    except InvalidRoutes as e:
        for one in e.problems:
            document.error(document.line(one.field), str(one))
    refuse(document)
    return made


def alone(text: str) -> tuple[Routes, dict[str, TimeInterval]]:
    """The routes and time intervals of a file by itself, whoever has it. Raises InvalidRuleFile."""
    found = read(text)
    made = times(found)
    inhibitions(found)
    refuse(found.document)
    routes, _ = judged(found.document, found.tree, Known(lambda _: "", found.times, ()))
    return routes, made
