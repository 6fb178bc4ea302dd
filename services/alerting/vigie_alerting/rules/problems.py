"""What is wrong with a rule: every problem at once, each with its field, and in an expression its place."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class RuleProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong, or (in warnings) that is taken and was hardly meant."""

    field: str
    """Path in what was sent: `notificationChannels[0].type`."""
    reason: str
    position: int | None = None
    """Of a problem in an expression: the character at which it begins, from 1."""
    hint: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        place = "" if self.position is None else f" at character {self.position}"
        return f"{self.field}: {self.reason}{place}" + (f": {self.hint}" if self.hint else "")


class InvalidRuleError(ValueError):
    """The rule is refused."""

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
