"""Lists of what a lint lets stand, in text files beside it: `subject: reason` per line.

Why files: an exception is looked at when it is added, and a line that nobody needs any more is a finding, so that the
lists only shrink.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from tools.lints.source import Finding


def read(text: str) -> dict[str, str]:
    """Reasons by subject; blank lines and lines that start with # are skipped."""
    rows = (line.strip() for line in text.splitlines())
    pairs = (row.partition(":") for row in rows if row and not row.startswith("#"))
    return {subject.strip(): reason.strip() for subject, _, reason in pairs}


def unneeded(path: str, listed: Mapping[str, str], needed: Set[str]) -> Iterator[Finding]:
    """A finding for every line of the list at `path` that stands for nothing, or does not say why."""
    for subject, reason in listed.items():
        if subject not in needed:
            yield Finding(path, 1, f"{subject} needs no line any more: remove it")
        elif not reason:
            yield Finding(path, 1, f"{subject} stands here without a reason")
