"""What a channel that posts as a Slack app has beside its destination."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.http import parsed

TOKEN: Final = "token"  # noqa: S105 - the name of a secret
"""Of the app's bot."""
SIGNING: Final = "signing"
"""What Slack signs its requests with; without it there are no buttons."""
API: Final = "api"
"""Where Slack's Web API is, where that is not `https://slack.com/api`."""
ALL: Final = frozenset({TOKEN, SIGNING, API})
_TOKEN: Final = re.compile(r"xox[a-z](\.xox[a-z])?-[A-Za-z0-9-]{8,500}")
_SIGNING: Final = re.compile(r"[0-9a-zA-Z]{16,128}")


def check(name: str, value: str) -> None:
    """Raises Permanent for one that cannot be used."""
    if name == TOKEN and not _TOKEN.fullmatch(value):
        raise Permanent(Failure.MISCONFIGURED, "the token of a Slack app's bot begins with xoxb-")
    if name == SIGNING and not _SIGNING.fullmatch(value):
        raise Permanent(Failure.MISCONFIGURED, "a Slack app's signing secret has 32 letters and digits")
    if name == API:
        parts = parsed(value)
        if parts.query or parts.fragment or parts.username is not None:
            raise Permanent(Failure.MISCONFIGURED, "the address of Slack's API is a URL like https://slack.com/api")


def check_together(destination: str, secrets: Mapping[str, str]) -> None:
    """Raises Permanent for a destination that a bot cannot post to, and for secrets that mean nothing without a
    token."""
    if TOKEN not in secrets:
        if alone := ALL & secrets.keys():
            raise Permanent(Failure.MISCONFIGURED, f"the secret {sorted(alone)[0]} means nothing without a token")
    elif not destination or "://" in destination or destination.startswith("@"):
        raise Permanent(
            Failure.MISCONFIGURED, "with a token, messages go to a channel: its name like #alerts, or better its id"
        )
