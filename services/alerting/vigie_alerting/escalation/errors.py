"""What is answered about schedules, people and chains."""

from __future__ import annotations

from collections.abc import Sequence

from vigie_contracts.problems import ProblemKind, shortened
from vigie_runtime.errors import ProblemError


class InvalidOnCall(ProblemError):  # noqa: N818 - named after what is wrong
    """A field has a value that cannot be."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class OnCallNotFound(ProblemError):  # noqa: N818
    """The tenant has nothing of that name, or the address of the calendar is not the right one."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"there is no {what} {shortened(name)!r}")


class OnCallInUse(ProblemError):  # noqa: N818
    """Others name it: without it they would tell nobody."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, what: str, name: str, users: Sequence[str]) -> None:
        """`users`: what names it, as `schedule 'db'`."""
        more = f" and {len(users) - 5} more" if len(users) > 5 else ""
        super().__init__(f"the {what} {name!r} is used by {', '.join(users[:5])}{more}: change them first")


class NotEscalated(ProblemError):  # noqa: N818
    """There is no chain, or it has nobody else to tell."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
