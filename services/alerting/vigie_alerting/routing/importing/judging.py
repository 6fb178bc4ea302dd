"""What was read of a file, judged: every mistake with its line."""

from __future__ import annotations

from vigie_query.errors import QueryError
from vigie_runtime.expressions import Check

from vigie_alerting.routing.checking import Known, checked
from vigie_alerting.routing.errors import InvalidRoutes
from vigie_alerting.routing.importing.document import Document
from vigie_alerting.routing.importing.reading import Read, read
from vigie_alerting.routing.model import RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.errors import InvalidRuleFile
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.times.interval import TimeInterval
from vigie_alerting.times.reading import interval


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
            made[name] = interval(placed.value, name)
        except QueryError as e:
            found.document.error(placed.line, e.detail)
    return made


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
    refuse(found.document)
    routes, _ = judged(found.document, found.tree, Known(lambda _: "", found.times, ()))
    return routes, made
