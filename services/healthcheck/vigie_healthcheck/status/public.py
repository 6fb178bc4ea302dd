"""What may be said in public of what was written for insiders."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HIDDEN: Final = "…"
_ADDRESSES: Final = re.compile(
    r"""
    \b[a-z][a-z0-9+.\-]*://\S+               # a URL
    | \S+@\S+\.\S+                           # a mail address, or a login and its host
    | \[[0-9a-f:.%]+\](?::\d+)?              # an IPv6 address as it stands in a URL
    | (?<![\w:])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?:%\w+)?(?![\w:])
    | (?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/\d+)?
    | \b(?:[a-z0-9_](?:[a-z0-9_\-]*[a-z0-9_])?\.)+[a-z][a-z0-9\-]*[a-z0-9](?::\d+)?   # a host name with dots
    | (?<![\w\-])(?!\d+:|\d{4}-\d\d-\d\dT)[a-z0-9][a-z0-9_\-]*:\d{2,5}\b       # a host without, and its port; no time
    | (?<![\w/])/[\w.\-~%]+(?:/[\w.\-~%]*)*  # a path
    """,
    re.IGNORECASE | re.VERBOSE,
)


_REGIONS: Final = re.compile(r"\d+ of \d+ regions see it down")
"""How the sentences of `regions.agreed` begin, which go on with what each says."""
_CONDITION: Final = re.compile(r"the answer (?:does not match|matches|has no) |\$")
"""How the sentences of `conditions.unmet` begin, which go on with what the answer should have been."""


def sentence(reason: str, url: str = "") -> str:
    """The reason without addresses (URLs, hosts, ports, paths, and whatever the target's own URL names), and without
    what a condition says."""
    if of_regions := _REGIONS.match(reason):
        return of_regions[0]
    if _CONDITION.match(reason):
        return "the answer is not what it should be"
    hidden = _ADDRESSES.sub(_HIDDEN, reason)
    for name in _names(url):
        hidden = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _HIDDEN, hidden, flags=re.IGNORECASE)
    return hidden


def _names(url: str) -> list[str]:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return []
    return [host] if host else []
