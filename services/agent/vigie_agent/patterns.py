"""Names of services and the patterns that say which of them concern the agent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from vigie_contracts.hosts import SERVICE_PATTERN

from vigie_agent.settings import PATTERN

SUFFIX: Final = ".service"
MAX_PATTERNS: Final = 16
_GOOD: Final = re.compile(PATTERN)
_NAME: Final = re.compile(SERVICE_PATTERN)


def patterns(text: str | None) -> list[str]:
    """`twoine-*, nginx` as a list. What is no pattern is left out."""
    words = [word.strip().removesuffix(SUFFIX) for word in (text or "").split(",")]
    return [word for word in words if word and _GOOD.match(word)][:MAX_PATTERNS]


def is_name(name: str) -> bool:
    """Whether it is a service's name as reports and commands may have it."""
    return _NAME.match(name) is not None and "\n" not in name


def matches(name: str, wanted: Sequence[str]) -> bool:
    """Whether one of the patterns is for the name. Only `*` and `?` mean something."""
    return any(fnmatchcase(name, one) for one in wanted)


def concerns(name: str, local: Sequence[str], narrower: Sequence[str]) -> bool:
    """Whether a service may be looked at: by what is set on this machine, and by what Vigie narrowed it to, if it
    did."""
    return is_name(name) and matches(name, local) and (not narrower or matches(name, narrower))


def prefixes(wanted: Sequence[str]) -> tuple[str, ...]:
    """What stands before the first `*` or `?` of each: `twoine-`."""
    return tuple(re.split(r"[*?]", one, maxsplit=1)[0] for one in wanted if re.search(r"[*?]", one))
