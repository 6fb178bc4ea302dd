"""A part of JSONPath (RFC 9535) that names one place: `$.a.b[0]['c d']`. No wildcards, filters or slices."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys of objects, and places in arrays; a negative one counts from the end."""

MAX_CHARS: Final = 300
MAX_STEPS: Final = 32
MISSING: Final = object()
"""What stands at a place that is not there."""

_STEP: Final = re.compile(
    r"""\.(?P<name>[\w-]+)|\[(?P<index>-?\d{1,9})\]|\[(?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)\]"""
)
_ESCAPE: Final = re.compile(r"\\(.)")


def parse(text: str) -> Path:
    """The steps of a path. Raises ValueError with a sentence."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"the path is longer than {MAX_CHARS} characters")
    if not text.startswith("$"):
        raise ValueError("a path begins with $, as in $.status")
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(f"the path cannot be read from character {at + 1} on: use $.name, [0] or ['a name']")
        if step["index"] is not None:
            steps.append(int(step["index"]))
        else:
            steps.append(step["name"] or _ESCAPE.sub(r"\1", step["text"]))
        at = step.end()
    if len(steps) > MAX_STEPS:
        raise ValueError(f"the path has more than {MAX_STEPS} steps")
    return tuple(steps)


def find(document: Any, path: Path) -> Any:
    """What stands there, or MISSING."""
    for step in path:
        match step, document:
            case str(), dict() if step in document:
                document = document[step]
            case int(), list() if -len(document) <= step < len(document):
                document = document[step]
            case _:
                return MISSING
    return document
