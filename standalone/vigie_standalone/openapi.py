"""One OpenAPI document out of those of the services. Pure."""

import copy
import json
from collections.abc import Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

from vigie_contracts.paths import Service, service_of

Document = dict[str, Any]

INTERNAL = "/internal/metrics/"
"""Under it the front door shows each service's own metrics, by the service's name."""
_TAGS = [{"name": "intake", "description": "What applications and nodes send, and the history of a replaced system"}]
_HEALTH = "health"
_JSON = "application/json"
_SERVICE = {
    "type": "object",
    "description": "What the service says itself, and the status that it says it with",
    "properties": {"code": {"type": "integer"}, "status": {"type": "string"}},
    "required": ["code"],
}
_LIVE = {"type": "object", "properties": {"status": {"const": "live"}}, "required": ["status"]}
_READY = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ready", "not ready"]},
        "services": {
            "type": "object",
            "properties": {str(service): _SERVICE for service in Service},
            "required": ["ingest", "api"],
        },
    },
    "required": ["status", "services"],
}


def front_door(
    ingest: Document,
    api: Document,
    others: Mapping[Service, Document] = MappingProxyType({}),
    *,
    ingest_metrics: str,
    api_metrics: str,
) -> Document:
    """What the front door serves: the writes of ingest, all of api, what the others have of their own, and what it
    answers itself.

    The two paths are where the services show their own metrics; here they have addresses of their own, because
    `/metrics` is the exposition of a tenant.
    """
    writes = {path: {"post": item["post"]} for path, item in ingest.get("paths", {}).items() if "post" in item}
    reads = {path: item for path, item in api.get("paths", {}).items() if path != api_metrics}
    own = {
        "/health/live": {"get": _operation("live", "Live", "The front door runs.", {200: ("Always", _LIVE)})},
        "/health/ready": {
            "get": _operation(
                "ready",
                "Ready",
                "All services work; else what is missing.",
                {200: ("All are ready", _READY), 503: ("One of them is not", _READY)},
            )
        },
    }
    for service, document, path in (("ingest", ingest, ingest_metrics), ("api", api, api_metrics)):
        if operation := document.get("paths", {}).get(path, {}).get("get"):
            own[f"{INTERNAL}{service}"] = {"get": _own_metrics(service, operation)}
    merged = merge({**ingest, "paths": writes}, {**api, "paths": reads})
    for service, document in others.items():
        paths = {path: item for path, item in document.get("paths", {}).items() if service_of("GET", path) is service}
        merged = merge(merged, {**document, "paths": paths})
    return {
        **merged,
        "tags": _unique_tags({"tags": _TAGS}, merged),
        "paths": dict(sorted({**merged["paths"], **own}.items())),
    }


def _operation(name: str, summary: str, description: str, answers: dict[int, tuple[str, Document]]) -> Document:
    return {
        "tags": [_HEALTH],
        "summary": summary,
        "description": description,
        "operationId": name,
        "responses": {
            str(status): {"description": words, "content": {_JSON: {"schema": schema}}}
            for status, (words, schema) in answers.items()
        },
        "security": [],
    }


def _own_metrics(service: str, operation: Document) -> Document:
    return {
        "tags": [_HEALTH],
        "summary": f"Own metrics of {service}",
        "description": f"What {service} measures of itself, for Prometheus. Shown to this machine only.",
        "operationId": f"own_metrics_{service}",
        "responses": {
            "200": operation["responses"]["200"],
            "404": {"description": "The caller is on another machine"},
        },
        "security": [],
    }


def merge(first: Document, second: Document) -> Document:
    """Paths and components of both. Where both define a path and method the first wins.

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
            "from api, rules and alerts are alerting's, targets and their states healthcheck's, live feeds push's.",
        },
        "tags": _unique_tags(first, second),
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def _conflicts(first: Document, second: Document) -> dict[tuple[str, str], str]:
    """Kind and name of each component that is another in the first document -> a name that neither has."""
    mine, theirs = first.get("components", {}), second.get("components", {})
    return {
        (kind, name): next(free for n in count(2) if (free := f"{name}{n}") not in {**mine[kind], **members})
        for kind, members in theirs.items()
        for name, content in members.items()
        if name in mine.get(kind, {}) and mine[kind][name] != content
    }


def _renamed(document: Document, conflicts: Mapping[tuple[str, str], str]) -> Document:
    text = json.dumps(document)
    for (kind, name), free in conflicts.items():
        text = text.replace(f'"#/components/{kind}/{name}"', f'"#/components/{kind}/{free}"')
    renamed = json.loads(text)
    for (kind, name), free in conflicts.items():
        members = renamed["components"][kind]
        members[free] = members.pop(name)
    return renamed


def _unique_tags(*documents: Document) -> list[Document]:
    tags: dict[str, Document] = {}
    for document in documents:
        for tag in document.get("tags", []):
            tags.setdefault(tag["name"], tag)
    return list(tags.values())
