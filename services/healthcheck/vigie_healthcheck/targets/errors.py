"""What is answered about targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vigie_contracts.problems import ItemProblem, Problem, ProblemKind, problem, shortened
from vigie_contracts.targets import OWN, Target
from vigie_query.times import iso
from vigie_runtime.errors import ProblemError

from vigie_healthcheck.targets.problems import InvalidTargetError, TargetProblem

MAX_TOLD: Final = 100
"""Problems of one answer."""


class InvalidTarget(ProblemError):  # noqa: N818 - named after what is wrong
    """The target is refused, with everything that is wrong with it."""

    names_as_sent = True

    def __init__(self, problems: Sequence[TargetProblem], *, malformed: bool = False) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
        if malformed:
            self.kind, self.status = ProblemKind.MALFORMED, 400

    @classmethod
    def of(cls, error: InvalidTargetError) -> InvalidTarget:
        return cls(error.problems, malformed=error.malformed)

    def problem(self, instance: str) -> Problem:
        """One entry per problem."""
        errors = [ItemProblem(0, one.field, one.reason) for one in self.problems[:MAX_TOLD]]
        return problem(self.kind, self.status, self.detail, errors=errors, instance=instance)


class InvalidTargetFile(ProblemError):  # noqa: N818
    """The file of targets is refused: every error with its line."""

    names_as_sent = True

    def __init__(self, errors: Sequence[tuple[int, str]]) -> None:
        """Each with its line, from 1."""
        super().__init__("; ".join(f"line {line}: {message}" for line, message in errors))
        self.errors = errors

    def problem(self, instance: str) -> Problem:
        """One entry per error; the index is that of the line, from 0."""
        errors = [ItemProblem(line - 1, f"line {line}", message) for line, message in self.errors[:MAX_TOLD]]
        return problem(self.kind, self.status, self.detail, errors=errors, instance=instance)


class TargetNotFound(ProblemError):  # noqa: N818
    """The tenant has no such target."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no service {shortened(name)!r}")


class NameTaken(ProblemError):  # noqa: N818
    """The tenant has another target of that name."""

    kind = ProblemKind.CONFLICT
    status = 409
    names_as_sent = True

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a service {shortened(name)!r} already", field="name")


class TargetConflict(ProblemError):  # noqa: N818
    """The target is at another version than the one that was changed."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, now: Target | None) -> None:
        if now is None:
            super().__init__("somebody else changes these services at this moment: read them again")
            return
        super().__init__(
            f"the service is at version {now.version}: {now.updated_by or 'somebody'} changed it at "
            f"{iso(now.updated_at)}; read it again"
        )


class ManagedElsewhere(ProblemError):  # noqa: N818
    """The target comes from a file, or is one of Vigie's own."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, target: Target) -> None:
        own = "is one of Vigie's own, and would come back: set enabled to false"
        elsewhere = f"is managed by {shortened(target.managed_by)}: change it there"
        what = own if target.managed_by == OWN else elsewhere
        super().__init__(f"the service {shortened(target.name)!r} {what}")
