"""What is answered about alerts."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import RETRY_AFTER_S, ProblemError


class AlertNotFound(ProblemError):  # noqa: N818 - named after what is wrong
    """The tenant has no such alert, or it is about a site that is not the caller's: the same words for both."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such alert")


class AlertConflict(ProblemError):  # noqa: N818
    """The alert is not in a state for that, or somebody else was first."""

    kind = ProblemKind.CONFLICT
    status = 409


class AlertBusy(ProblemError):  # noqa: N818
    """It was moved by others each time that this was tried."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("the alert changes all the time; look at it, and try again", retry_after=RETRY_AFTER_S)


class NotificationNotFound(ProblemError):  # noqa: N818
    """The alert has no such notification, or not any more."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such notification of this alert: its history has their ids")


class NotificationSettled(ProblemError):  # noqa: N818
    """It is not sent again."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "only what was given up is sent again, and not when something newer of the alert was delivered meanwhile"
        )
