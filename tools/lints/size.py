"""Files stay small.

Why: the codebases we admire have a median near 100 lines; a file above 400 usually has two subjects, and one above
600 always has. Up to 600 a file may explain itself in `large_files.txt`; an explanation nobody needs any more goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tools.lints import leftovers
from tools.lints.source import Finding, Source

EXPLAIN_ABOVE = 400
SPLIT_ABOVE = 600
ALLOWED = "tools/lints/large_files.txt"


def check(files: Iterable[Source], allowed: Mapping[str, str]) -> Iterator[Finding]:
    """Files that are too long, and explanations that are empty or no longer needed."""
    needed: set[str] = set()
    for source in files:
        lines = len(source.lines)
        if lines > EXPLAIN_ABOVE:
            needed.add(source.path)
        if lines > SPLIT_ABOVE:
            yield Finding(source.path, lines, f"{lines} lines: split it, {SPLIT_ABOVE} is the end")
        elif lines > EXPLAIN_ABOVE and source.path not in allowed:
            yield Finding(source.path, lines, f"{lines} lines: split it, or say in {ALLOWED} why it is one subject")
    yield from leftovers.unneeded(ALLOWED, allowed, needed)
