"""What is answered about rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vigie_contracts.alerts import Rule
from vigie_contracts.problems import ItemProblem, Problem, ProblemKind, problem
from vigie_query.times import iso
from vigie_runtime.errors import ProblemError

from vigie_alerting.rules.files import Finding
from vigie_alerting.rules.problems import RuleProblem

MAX_TOLD: Final = 100
"""Problems of one answer."""


class InvalidRule(ProblemError):  # noqa: N818 - named after what is wrong
    """The rule is refused, with everything that is wrong with it."""

    names_as_sent = True

    def __init__(self, problems: Sequence[RuleProblem], *, malformed: bool = False) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
        if malformed:
            self.kind, self.status = ProblemKind.MALFORMED, 400

    def problem(self, instance: str) -> Problem:
        """One entry per problem."""
        errors = [ItemProblem(0, one.field, str(one)) for one in self.problems[:MAX_TOLD]]
        return problem(self.kind, self.status, self.detail, errors=errors, instance=instance)


class InvalidRuleFile(ProblemError):  # noqa: N818
    """The rule file is refused: every error with its line."""

    names_as_sent = True

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = findings

    def problem(self, instance: str) -> Problem:
        """One entry per error; the index is that of the line, from 0."""
        errors = [ItemProblem(one.line - 1, f"line {one.line}", one.message) for one in self.findings[:MAX_TOLD]]
        return problem(self.kind, self.status, self.detail, errors=errors, instance=instance)


class RuleNotFound(ProblemError):  # noqa: N818
    """The tenant has no such rule."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such rule")


class RuleManaged(ProblemError):  # noqa: N818
    """Something else than people makes the rule, and changes it."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, rule: Rule) -> None:
        what, _, name = rule.managed_by.partition("/")
        super().__init__(f"the rule belongs to the {what} {name!r}, and changes with it: change that")


class RuleConflict(ProblemError):  # noqa: N818
    """The rule is at another version than the one that was changed."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, now: Rule | None) -> None:
        if now is None:
            super().__init__("somebody else changes these rules at this moment: read them again")
            return
        when = "" if now.updated_at is None else f" at {iso(now.updated_at)}"
        super().__init__(
            f"the rule is at version {now.version}: {now.updated_by or 'somebody'} changed it{when}; read it again"
        )
