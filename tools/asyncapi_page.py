"""The page that shows the AsyncAPI documents, `/docs/async`: plain HTML without scripts, which loads nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

Schema = Mapping[str, Any]

_STYLE: Final = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid #8884;padding:.2rem .6rem .2rem 0;text-align:left;vertical-align:top}"
    "code,.about{font-family:ui-monospace,monospace;font-size:.85em}"
    ".about{white-space:pre-wrap}section{border-top:2px solid #8884;margin-top:2rem}details{margin:.5rem 0}"
    "summary{cursor:pointer}nav a{margin-right:.8rem}"
)


def page(documents: Mapping[str, dict[str, Any]]) -> str:
    """The documents by the names of their files, one below the other."""
    body = "".join(_document(name, document) for name, document in documents.items())
    links = " ".join(
        f'<a href="#{_anchor(name, channel)}">{escape(channel)}</a>'
        for name, document in documents.items()
        for channel in document["channels"]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Vigie: messages</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>\n'
        "<h1>Messages</h1><p>What Vigie tells live, and what its services tell each other on Kafka, as AsyncAPI 3. "
        f'Requests and answers over HTTP are in <a href="../docs">the API reference</a>.</p>\n<nav>{links}</nav>\n'
        f"{body}</body></html>\n"
    )


def _document(name: str, document: dict[str, Any]) -> str:
    info, schemas = document["info"], document["components"]["schemas"]
    head = (
        f"<section><h2>{escape(info['title'])}</h2><p>{_text(info['description'])} File: <code>docs/{name}</code></p>"
    )
    channels = "".join(_channel(name, key, channel, document) for key, channel in document["channels"].items())
    shapes = "".join(_shape(name, key, schema) for key, schema in schemas.items())
    return f"{head}{channels}<h3>Shapes</h3>{shapes}</section>\n"


def _channel(name: str, key: str, channel: dict[str, Any], document: dict[str, Any]) -> str:
    parameters = channel.get("x-parameters", {}).get("$ref")
    asked = ""
    if parameters:
        permission = escape(channel["x-permission"])
        asked = f"<p>Parameters: {_reference(name, parameters)}; permission <code>{permission}</code></p>"
    told = "".join(_message(name, message, document, key) for message in channel["messages"].items())
    return (
        f'<h3 id="{_anchor(name, key)}">{escape(key)} <code>{escape(channel["address"])}</code></h3>'
        f'<div class="about">{escape(channel["description"])}</div>{asked}{told}\n'
    )


def _message(name: str, named: tuple[str, dict[str, Any]], document: dict[str, Any], channel: str) -> str:
    key, message = named
    reference = f"#/channels/{channel}/messages/{key}"
    received = any(
        operation["action"] == "receive" and {"$ref": reference} in operation.get("messages", [])
        for operation in document["operations"].values()
    )
    return (
        f"<details><summary><code>{escape(message['name'])}</code>{' (sent by clients)' if received else ''} "
        f'{escape(message["title"])}</summary><div class="about">{escape(message["description"])}</div>'
        f"<p>{_kind(name, message['payload'])}</p></details>"
    )


def _shape(name: str, key: str, schema: Schema) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_kind(name, inner)}</td>"
        f"<td>{'' if field in required else 'optional'}</td></tr>"
        for field, inner in schema.get("properties", {}).items()
    )
    shown = f"<table>{rows}</table>" if rows else f"<p>{_kind(name, schema)}</p>"
    about = f'<div class="about">{escape(schema.get("description", ""))}</div>'
    head = f'<details id="{_anchor(name, "shape-" + key)}"><summary><code>{escape(key)}</code></summary>'
    return f"{head}{about}{shown}</details>\n"


def _kind(name: str, schema: Schema) -> str:
    """The type in a few words, with links to the shapes."""
    for words, together in (("allOf", " and "), ("anyOf", " or "), ("oneOf", " or ")):
        if words in schema:
            return together.join(_kind(name, one) for one in schema[words])
    if "$ref" in schema:
        return _reference(name, schema["$ref"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(name, schema['items'])}"
    return escape(str(schema.get("type", schema.get("description", "anything"))))


def _reference(name: str, reference: str) -> str:
    key = reference.rpartition("/")[2]
    return f'<a href="#{_anchor(name, "shape-" + key)}">{escape(key)}</a>'


def _anchor(name: str, key: str) -> str:
    return re.sub(r"[^\w-]", "-", f"{name.partition('.')[0]}-{key}")


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
