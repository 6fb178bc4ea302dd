"""What is answered about channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vigie_contracts.alerts import Rule
from vigie_contracts.problems import ItemProblem, Problem, ProblemKind, problem, shortened
from vigie_runtime.errors import ProblemError

MAX_TOLD: Final = 100
"""Rules and receivers of one answer."""


class InvalidChannel(ProblemError):  # noqa: N818 - named after what is wrong
    """A field of a channel has an invalid value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class ChannelNotFound(ProblemError):  # noqa: N818
    """The tenant has no such channel."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, channel: str) -> None:
        super().__init__(f"there is no channel {shortened(channel)!r}")


class ChannelConflict(ProblemError):  # noqa: N818
    """The name is taken, the tenant has too many channels, or somebody else changed this one meanwhile."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class ChannelInUse(ProblemError):  # noqa: N818
    """Rules or routes name the channel: without it their notifications would become dead letters."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, channel: str, rules: Sequence[Rule], receivers: Sequence[str], what: str) -> None:
        """`receivers` are those of routes; `what` would be done to it."""
        users = " and ".join(filter(None, (_count(len(rules), "rule"), _count(len(receivers), "receiver"))))
        names = "names" if len(rules) + len(receivers) == 1 else "name"
        super().__init__(
            f"{users} {names} the channel {channel!r}, so it is not {what}: change them first, or add ?force=true"
        )
        self._users = [
            *((f"rules[{at}]", f"{one.name} ({one.id})") for at, one in enumerate(rules)),
            *((f"receivers[{at}]", one) for at, one in enumerate(receivers)),
        ][:MAX_TOLD]

    def problem(self, instance: str) -> Problem:
        """One entry per rule and receiver."""
        errors = [ItemProblem(at, field, name) for at, (field, name) in enumerate(self._users)]
        return problem(self.kind, self.status, self.detail, errors=errors, instance=instance)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else ""
