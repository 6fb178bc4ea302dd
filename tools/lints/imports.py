"""Imports point one way.

Why: a service that imports its sibling cannot be deployed, scaled or understood alone. Python would not mind, so a
script has to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tools.lints.source import Finding, Source

OURS = "vigie_"
LIBRARIES = {
    "vigie_contracts": frozenset[str](),
    "vigie_windows": frozenset[str](),
    "vigie_runtime": frozenset({"vigie_contracts"}),
    "vigie_query": frozenset({"vigie_contracts", "vigie_windows"}),
    "vigie_storage": frozenset({"vigie_contracts", "vigie_query", "vigie_runtime", "vigie_windows"}),
    "vigie_summaries": frozenset({"vigie_contracts", "vigie_query", "vigie_runtime", "vigie_storage", "vigie_windows"}),
    "vigie_identity": frozenset({"vigie_contracts", "vigie_runtime", "vigie_storage"}),
    "vigie_limits": frozenset({"vigie_contracts", "vigie_identity", "vigie_runtime", "vigie_storage"}),
    "vigie_publishing": frozenset({"vigie_contracts", "vigie_runtime", "vigie_storage"}),
    "vigie_web": frozenset({"vigie_contracts", "vigie_identity", "vigie_limits", "vigie_query", "vigie_runtime"}),
    "vigie_client": frozenset[str](),
}
"""Which packages of ours a library may import, beside itself."""

SERVICE_MAY_IMPORT = frozenset(LIBRARIES) - {"vigie_client"}
AGENT = {"vigie_agent": frozenset({"vigie_client", "vigie_contracts"})}
"""It runs on machines that are not ours, and is small: a client of the front door, with nothing of the servers."""

RANKS = {
    "__main__": 3, "cli": 3, "app": 2, "consumers": 1, "consumer": 1, "routes": 1, "operations": 1, "repository": 1,
}  # fmt: skip
"""Inside a service a module imports its own rank or lower; modules not named here are rank 0. The highest name on the
path decides, so that a feature's `series/routes.py` ranks as `routes` does."""


def check(files: Iterable[Source]) -> Iterator[Finding]:
    """Every import that points the wrong way."""
    for source in files:
        package, module = _place(source.path)
        if package is None or source.is_test:
            continue
        for line, name in imported(source):
            if text := _problem(package, module, name, in_service=source.path.startswith("services/")):
                yield Finding(source.path, line, text)


def _place(path: str) -> tuple[str | None, str]:
    """Package and module in it: `services/api/vigie_api/series/routes.py` -> (vigie_api, series.routes)."""
    parts = path.removesuffix(".py").split("/")
    for i, part in enumerate(parts[:-1]):
        if part.startswith(OURS):
            return part, ".".join(parts[i + 1 :])
    return None, ""


def imported(source: Source) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, wherever in it."""
    package = source.path.removesuffix(".py").split("/")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                first = next((i for i, part in enumerate(package) if part.startswith(OURS)), 0)
                base = ".".join(part for part in (*package[first : len(package) - node.level], base) if part)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _problem(package: str, module: str, name: str, *, in_service: bool) -> str | None:
    top, _, rest = name.partition(".")
    if top == "tests":
        return f"{package} imports {name}: tests import packages, never the other way"
    if top == package:
        return _inside(module, rest, name) if in_service else None
    if not top.startswith(OURS):
        return None
    allowed = (LIBRARIES | AGENT).get(package, SERVICE_MAY_IMPORT if in_service else None)
    if allowed is None or top in allowed:
        return None  # `standalone` composes everything
    may = ", ".join(sorted(allowed)) or "none of our packages"
    return f"{package} imports {top}, but may import only {may}"


def _inside(module: str, imported: str, name: str) -> str | None:
    mine, theirs = _rank(module), _rank(imported)
    if theirs > mine:
        return f"{module} imports {name}: imports go __main__ -> app -> routes, consumers, ... -> pure modules"
    return None


def _rank(module: str) -> int:
    return max(RANKS.get(part, 0) for part in module.split("."))
