"""What is answered about silences."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class SilenceNotFound(ProblemError):  # noqa: N818 - named after what is wrong
    """The tenant has no such silence, or it is about a site that is not the caller's: the same words for both."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such silence")


class SilenceExpired(ProblemError):  # noqa: N818
    """It is over, and stays so."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("the silence has expired: make another one")


class MutesEverything(ProblemError):  # noqa: N818
    """Nobody would be told of anything any more; not done by mistake."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, why: str) -> None:
        super().__init__(
            f'this would mute everything: {why}. To do so all the same, send "confirm": true', field="confirm"
        )


class NotYoursToMute(ProblemError):  # noqa: N818
    """The caller mutes alerts of the own sites and apps only."""

    kind = ProblemKind.FORBIDDEN
    status = 403

    def __init__(self) -> None:
        super().__init__(
            'you may silence alerts of your own sites and apps: add a matcher like site="..." or app="..." with one of '
            "them; any alert with the permission alerts.silence-all",
            field="matchers",
        )
