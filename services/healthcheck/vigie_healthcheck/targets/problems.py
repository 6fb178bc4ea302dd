"""What is wrong with a target: every problem at once, each with its field."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class TargetProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong, or (in warnings) that is taken and was hardly meant."""

    field: str
    """Path in what was sent: `expect.bodyMatches[0]`."""
    reason: str
    """Goes on after the field: `must be ...`. Never has what may be secret."""

    @property
    def top(self) -> str:
        """The field of the target that it is about or in."""
        return self.field.partition(".")[0].partition("[")[0]

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidTargetError(ValueError):
    """The target is refused."""

    def __init__(self, problems: Sequence[TargetProblem], *, malformed: bool = False) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = list(problems)
        self.malformed = malformed
        """Whether it is no JSON object."""
