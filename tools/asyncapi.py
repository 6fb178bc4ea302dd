"""`python -m tools.asyncapi`: writes what the documents say of messages, from the code that sends them.

Of the topics `docs/asyncapi.yaml` (AsyncAPI 3.0) and the table in `docs/architecture.md`, of the live channels
`docs/asyncapi-live.yaml`, and the page that shows both. A test tells when they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from vigie_contracts import headers
from vigie_contracts.topics import TOPICS, Topic

from tools import asyncapi_live, asyncapi_page

ROOT: Final = Path(__file__).parents[1]
ASYNCAPI: Final = "docs/asyncapi.yaml"
LIVE: Final = "docs/asyncapi-live.yaml"
PAGE: Final = "services/api/vigie_api/reference/async.html"
ARCHITECTURE: Final = "docs/architecture.md"
_BEGIN: Final = "<!-- topics: written by `make docs` -->\n"
_END: Final = "<!-- end of topics -->\n"
_TRACE: Final = ("traceparent", "tracestate")


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stay readable."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def document() -> dict[str, Any]:
    """The AsyncAPI document: every topic, who writes and who reads it, its key, its value."""
    schemas: dict[str, Any] = {"Headers": _headers()}
    channels = {topic.word: _channel(topic, schemas) for topic in TOPICS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vigie on Kafka",
            "version": "1",
            "description": "Every topic of `libs/contracts/vigie_contracts/topics.py`.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": dict(_operations()),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def table() -> str:
    """The topics as rows of Markdown."""
    rows = [["topic", "key", "value", "written by", "read by", "kept"], ["---"] * 6]
    for topic in TOPICS:
        compacted = " (compacted)" if topic.config.get("cleanup.policy") == "compact" else ""
        services = (", ".join(names) or "-" for names in (topic.written_by, topic.read_by))
        rows.append([f"`{topic.name}`{compacted}", topic.key, topic.value.rpartition(".")[2], *services, _kept(topic)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def files() -> Mapping[str, str]:
    """What every generated file has to say, by its path."""
    topics, live = document(), asyncapi_live.document()
    architecture = (ROOT / ARCHITECTURE).read_text(encoding="utf-8")
    part = re.compile(f"(?<={re.escape(_BEGIN)}).*?(?={re.escape(_END)})", re.DOTALL)
    return {
        ASYNCAPI: _dumped(topics, "libs/contracts/vigie_contracts/topics.py"),
        LIVE: _dumped(live, "services/push/vigie_push/messages.py and its channels"),
        PAGE: asyncapi_page.page({Path(LIVE).name: live, Path(ASYNCAPI).name: topics}),
        ARCHITECTURE: part.sub(lambda _: table(), architecture),
    }


def _dumped(content: dict[str, Any], source: str) -> str:
    dumped = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Written by `make docs` from {source}.\n{dumped}"


def _channel(topic: Topic, schemas: dict[str, Any]) -> dict[str, Any]:
    payload, about, content_type = _payload(topic, schemas)
    message: dict[str, Any] = {
        "name": topic.name,
        "title": topic.value.rpartition(".")[2],
        "description": about,
        "contentType": content_type,
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
    }
    return {
        "address": topic.name,
        "description": f"Written by: {_services(topic.written_by)}. Read by: {_services(topic.read_by)}.",
        "messages": {topic.word: message},
        "bindings": {"kafka": {"partitions": topic.partitions, "topicConfiguration": _config(topic)}},
    }


def _payload(topic: Topic, schemas: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """Schema, description and content type of a value."""
    module, _, name = topic.value.rpartition(".")
    if not module:
        return {"description": topic.value}, f"{topic.value[0].upper()}{topic.value[1:]}.", "application/octet-stream"
    contract = import_module(f"vigie_contracts.{module}")
    about = (contract.__doc__ or "").strip()
    message = getattr(contract, name)
    if not issubclass(message, msgspec.Struct):  # columns: its module says how they lie
        return {"type": "string", "format": "binary"}, about, "application/octet-stream"
    (schema,), parts = msgspec.json.schema_components([message], ref_template="#/components/schemas/{name}")
    schemas |= parts
    return schema, about, "application/json"


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for topic in TOPICS:
        channel = {"$ref": f"#/channels/{topic.word}"}
        for action, services in (("send", topic.written_by), ("receive", topic.read_by)):
            for service in services:
                name = re.sub(r"\W+", "_", f"{service.strip('`')} {action} {topic.word}")
                yield name, {"action": action, "channel": channel, "title": service.strip("`")}


def _headers() -> dict[str, Any]:
    made = headers.cloudevent_headers(source="", type_="", time_ms=0, content_type="", subject="")
    always = [name for name, _ in made if name != "ce_subject"]
    names = [*(name for name, _ in made), *_TRACE]
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": always}


def _config(topic: Topic) -> dict[str, Any]:
    """In the words and types of the Kafka binding."""
    found: dict[str, Any] = {}
    if "cleanup.policy" in topic.config:
        found["cleanup.policy"] = [topic.config["cleanup.policy"]]
    if "retention.ms" in topic.config:
        found["retention.ms"] = int(topic.config["retention.ms"])
    return found


def _kept(topic: Topic) -> str:
    retention_ms = topic.config.get("retention.ms")
    return "for ever" if retention_ms is None else f"{timedelta(milliseconds=int(retention_ms)).days} d"


def _services(services: tuple[str, ...]) -> str:
    return ", ".join(services) or "nobody yet"


def main() -> None:
    """Write the files that differ."""
    for path, content in files().items():
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != content:
            (ROOT / path).write_text(content, encoding="utf-8")
            print(f"written: {path}")


if __name__ == "__main__":
    main()
