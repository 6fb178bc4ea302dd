"""What Slack is answered when something is wrong with its request."""

from __future__ import annotations

from typing import Final

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError

_UNSIGNED: Final = (
    "this is not signed with the signing secret of the Slack app that posted the message, or is more than 5 minutes old"
)


class NotFromSlack(ProblemError):  # noqa: N818 - named after what is wrong
    """No signature, a wrong or an old one, or a message that nobody knows: the same words for all of them."""

    kind = ProblemKind.UNAUTHENTICATED
    status = 401

    def __init__(self) -> None:
        super().__init__(_UNSIGNED)


class Replayed(ProblemError):  # noqa: N818
    """The request was taken before."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("this request was taken before: each is once")
