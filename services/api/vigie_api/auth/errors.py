"""Errors of login and logout."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class NoSession(ProblemError):  # noqa: N818
    """The caller did not log in here: a key, or a token of another issuer."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self) -> None:
        super().__init__("the credential belongs to no session: only users who logged in here have one")


class NobodyLogsIn(ProblemError):  # noqa: N818
    """There is nothing to sign tokens with."""

    kind = ProblemKind.NOT_CONFIGURED
    status = 503

    def __init__(self) -> None:
        super().__init__("nobody can log in: VIGIE_JWT_SECRET is not set; set it to 32 bytes or more and start again")
