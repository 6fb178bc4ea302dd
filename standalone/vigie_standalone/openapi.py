"""One OpenAPI document out of two. Pure."""

import copy
import json
from typing import Any

Document = dict[str, Any]


def merge(first: Document, second: Document) -> Document:
    """Paths and components of both. Where both define a path and method the first wins, as in the front door.

    A component of the same name and another content is renamed in the second document, references included.
    """
    second = _renamed(second, _conflicts(first, second))
    paths = copy.deepcopy(second.get("paths", {}))
    for path, operations in first.get("paths", {}).items():
        paths[path] = {**paths.get(path, {}), **operations}
    components: Document = {}
    for document in (second, first):
        for kind, members in document.get("components", {}).items():
            components[kind] = {**components.get(kind, {}), **members}
    return {
        "openapi": first.get("openapi", "3.1.0"),
        "info": {
            "title": "Vigie",
            "version": first.get("info", {}).get("version", "0"),
            "description": "Everything behind the front door: what is written goes to ingest, what is read comes "
            "from api.",
        },
        "tags": _unique_tags(first, second),
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def _conflicts(first: Document, second: Document) -> set[tuple[str, str]]:
    mine, theirs = first.get("components", {}), second.get("components", {})
    return {
        (kind, name)
        for kind, members in theirs.items()
        for name, content in members.items()
        if name in mine.get(kind, {}) and mine[kind][name] != content
    }


def _renamed(document: Document, conflicts: set[tuple[str, str]]) -> Document:
    text = json.dumps(document)
    for kind, name in conflicts:
        text = text.replace(f'"#/components/{kind}/{name}"', f'"#/components/{kind}/{name}2"')
    renamed = json.loads(text)
    for kind, name in conflicts:
        members = renamed["components"][kind]
        members[f"{name}2"] = members.pop(name)
    return renamed


def _unique_tags(*documents: Document) -> list[Document]:
    tags: dict[str, Document] = {}
    for document in documents:
        for tag in document.get("tags", []):
            tags.setdefault(tag["name"], tag)
    return list(tags.values())
