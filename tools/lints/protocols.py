"""A Protocol is a port, not a mirror.

Why: a Protocol with the members of one class has to be changed with it, is one more name for the same thing, and hides
from the reader where the code goes on. A port is worth it when production code has two implementations, or when a
double and the real server pass one behaviour suite: the latter a script cannot see, so `protocols.txt` says it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tools.lints import leftovers
from tools.lints.source import Finding, Source

ALLOWED: Final = "tools/lints/protocols.txt"
ENOUGH: Final = 2
"""Implementations in production code."""

Members = dict[str, frozenset[str]]
"""Attributes and methods by name, each with the names of its parameters."""


def check(files: Iterable[Source], allowed: Mapping[str, str]) -> Iterator[Finding]:
    """Every Protocol with fewer than two implementations that the list does not explain, and lines not needed."""
    packaged = [source for source in files if source.is_packaged and not source.is_test]
    found = [(source, node) for source in packaged for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    by_name = {node.name: node for _, node in found if not _is_protocol(node)}
    classes = {
        (source.path, node.name): _members(node, by_name, ()) for source, node in found if not _is_protocol(node)
    }
    needed: set[str] = set()
    for source, node in found:
        if not _is_protocol(node):
            continue
        wanted = _members(node, {}, ())
        who = sorted({name for (_, name), members in classes.items() if _implements(members, wanted)})
        subject = f"{source.path} {node.name}"
        if len(who) >= ENOUGH:
            continue
        needed.add(subject)
        if subject not in allowed:
            what = f"mirrors {who[0]}: take the class itself" if who else "is implemented by no class of ours"
            yield Finding(source.path, node.lineno, f"Protocol {node.name} {what}, or say in {ALLOWED} what it is for")
    yield from leftovers.unneeded(ALLOWED, allowed, needed)


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).partition("[")[0].rpartition(".")[2] == "Protocol" for base in node.bases)


def _implements(members: Members, wanted: Members) -> bool:
    return bool(wanted) and all(name in members and wanted[name] <= members[name] for name in wanted)


def _members(node: ast.ClassDef, by_name: Mapping[str, ast.ClassDef], below: tuple[str, ...]) -> Members:
    """Of the class and of those classes of ours that it inherits from; `below`: those that led here."""
    members: Members = {}
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        if name in by_name and name not in (node.name, *below):
            members |= _members(by_name[name], by_name, (node.name, *below))
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            members |= {name: frozenset[str]() for name in _assigned(part)} | {part.name: _parameters(part)}
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            members[part.target.id] = frozenset()
    return members


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Without `self`."""
    named = function.args
    return frozenset(a.arg for a in [*named.posonlyargs, *named.args, *named.kwonlyargs]) - {"self"}


def _assigned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Attributes that a method gives to `self`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr
