"""What is refused about hosts and sites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vigie_identity.errors import Conflict, InvalidField, NotFound

SITE: Final = "site"
HOST: Final = "host"
_NAMED: Final = 10


def no_site() -> NotFound:
    """There is none, or it is not the caller's."""
    return NotFound(SITE)


def no_host() -> NotFound:
    """It has not reported."""
    return NotFound(HOST)


def which_host(names: Sequence[str]) -> InvalidField:
    """Several have reported, and the request does not say which."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return InvalidField(HOST, f"say which one: {', '.join(names[:_NAMED])}{more}")


def site_taken(site: str) -> Conflict:
    """The id is in use."""
    return Conflict(f"there is a site {site} already")


def site_moved(site: str) -> Conflict:
    """Somebody else was faster."""
    return Conflict(f"the site {site} was changed or removed meanwhile")


def account_taken(account: str, site: str) -> Conflict:
    """An account has one site."""
    return Conflict(f"account: {account} is that of the site {site} on this host already")
