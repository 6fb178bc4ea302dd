"""What every lint shares: which files there are, and how a finding looks.

Why not git: a lint must also see files that are not added yet, and work in an unpacked archive.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOTS = ("libs", "services", "standalone", "tests", "tools")


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, as `path:line: sentence`, which editors can jump to."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file. `path` is relative to the root, with forward slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def is_packaged(self) -> bool:
        """Part of what is installed, not of the tools and tests around it."""
        return self.path.startswith(("libs/", "services/", "standalone/"))

    @property
    def is_test(self) -> bool:
        return "tests" in self.path.split("/")[:-1]

    @property
    def is_unit_test(self) -> bool:
        """Beside a package and without servers: `libs/x/tests/test_y.py`, but not `test_y_connected.py`."""
        name = self.path.rpartition("/")[2]
        beside = self.is_test and not self.path.startswith("tests/")
        return beside and name.startswith("test_") and "connected" not in name


def sources(root: Path) -> Iterator[Source]:
    """Every Python file of ours, sorted by path."""
    for name in ROOTS:
        for path in sorted((root / name).rglob("*.py")):
            relative = path.relative_to(root).as_posix()
            if "/.venv/" not in f"/{relative}":
                yield Source(relative, path.read_text(encoding="utf-8"))
