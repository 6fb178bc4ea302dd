"""Collections of MongoDB are opened in one place, and named in one place.

Why: whoever opens a collection can forget the tenant, and whoever names one can misspell it or miss that its shape
changed. `vigie_storage.tenancy` opens them, `vigie_storage.collections` names them. Tests may do both: they look at
what is stored with eyes of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from vigie_storage.collections import ALL

from tools.lints.source import Finding, Source

OWNER = "libs/storage/"
OPENERS = frozenset({"get_collection", "create_collection", "list_collection_names", "list_collections"})
DATABASES = frozenset({"db", "database", "mongo_db"})
"""What a variable or attribute is called that holds a database; with or without an underscore before it."""
NAMES = frozenset(about.name for about in ALL)
DISTINCT = frozenset(name for name in NAMES if "_" in name)
"""Names that are no everyday words: as a text they can only mean the collection."""


def check(files: Iterable[Source]) -> Iterator[Finding]:
    """Every collection that is opened or named elsewhere."""
    for source in files:
        if source.is_test or source.path.startswith((OWNER, "tests/", "tools/")):
            continue
        for node in ast.walk(source.tree):
            if text := _problem(node):
                yield Finding(source.path, node.lineno, text)


def _problem(node: ast.AST) -> str | None:
    match node:
        case ast.Subscript() if _is_database(node.value):
            return f"{ast.unparse(node)} opens a collection: vigie_storage does that, by tenant"
        case ast.Attribute(attr=name) if name in NAMES and _is_database(node.value):
            return f"{ast.unparse(node)} opens a collection: vigie_storage does that, by tenant"
        case ast.Attribute(attr=name) if name in OPENERS:
            return f"{name} opens a collection: vigie_storage does that, by tenant"
        case ast.Constant(value=str(name)) if name in DISTINCT:
            return f'"{name}" is a collection: take its name from vigie_storage.collections'
        case ast.JoinedStr(values=[ast.Constant(value=str(begin)), *_]) if begin == "windows_":
            return f"{ast.unparse(node)} is a collection: take its name from vigie_storage.collections"
        case _:
            return None


def _is_database(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.removeprefix("_") in DATABASES
