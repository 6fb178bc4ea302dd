"""The OpenAPI description of the intake routes, made from the very structs that decode and answer."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from vigie_contracts import limits, problems
from vigie_contracts import telemetry as telemetry_contract
from vigie_contracts.events import EVENT_DATA, CloudEvent
from vigie_contracts.problems import Problem
from vigie_identity import openapi_security as described

from vigie_ingest import cloudevents, media
from vigie_ingest.answers import BatchAnswer, HistoryAnswer, SingleAnswer, TelemetryAnswer
from vigie_ingest.decoding import Metric, MetricList
from vigie_ingest.errors import MAX_LISTED_ERRORS
from vigie_ingest.history import CSV, JSON_LINES
from vigie_ingest.metrics import Route
from vigie_ingest.telemetry import TelemetryDto

_REF: Final = "#/components/schemas/{name}"
_LABELS: Final = {
    "description": "Label names and values; numbers and booleans become text, empty values are dropped.",
    "type": ["object", "null"],
    "maxProperties": limits.MAX_LABELS,
    "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": limits.MAX_LABEL_VALUE_CHARS},
}
_ADDITIONAL: Final = {
    "description": f"Anything, kept whole: up to {telemetry_contract.MAX_ADDITIONAL_KEYS} keys in all, "
    f"{telemetry_contract.MAX_ADDITIONAL_DEPTH} levels and {telemetry_contract.MAX_ADDITIONAL_BYTES} bytes of JSON. "
    "Numbers at its top become samples.",
    "type": ["object", "null"],
    "properties": {
        name: {"type": ["number", "null"], "minimum": 0, "maximum": telemetry_contract.MAX_NUMBER}
        for name in telemetry_contract.ADDITIONAL_NUMBERS
    },
    "default": None,
}
_STAMP: Final = {
    "description": "Milliseconds since 1970, or RFC 3339 with an offset; absent: the gateway's clock. "
    f"At most {limits.MAX_FUTURE_SKEW_MS // 60_000} minutes ahead and {limits.MAX_AGE_MS // 86_400_000} days old.",
    "anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}, {"type": "null"}],
    "default": None,
}
_COUNTER: Final = {
    "name": "custom_counter",
    "type": "counter",
    "value": 1,
    "labels": {"service": "booking", "endpoint": "/api/bookings"},
}
_GAUGE: Final = {
    "name": "active_users",
    "type": "gauge",
    "value": 412,
    "labels": {"service": "web"},
    "timestamp": 1767225600000,
}
_BOOKED: Final = {
    "specversion": "1.0",
    "id": "b-1001",
    "source": "/services/booking",
    "type": "com.example.booking.completed",
    "time": "2026-01-01T00:00:00Z",
    "data": {"amount": 129.9, "currency": "EUR"},
}
_RULES: Final = (
    "201 is sent after Kafka acknowledged everything that counts as accepted. Unknown fields are ignored; of a field "
    "that is there twice the last one counts, but a label that is there twice is refused. NaN and Infinity are refused "
    "with their item only."
)
_BAD_REQUEST: Final = "Not JSON, or nothing of it could be taken: `errors` names index, field and reason."
_ERRORS: Final[dict[int, str]] = {
    400: _BAD_REQUEST,
    401: "No credential was sent where one is needed, or the one that was sent is not good.",
    403: "The permission is missing; or the tenant has all the series it may have, and this one is new: a batch says "
    "so per item instead.",
    404: "There is no such tenant, or it is not the caller's.",
    408: "The body did not arrive in time.",
    409: "A request with this Idempotency-Key is being worked on.",
    413: f"More than {limits.MAX_BODY_BYTES} bytes, {limits.MAX_DECOMPRESSED_BYTES} after decompression, "
    f"or {limits.MAX_BATCH_ITEMS} items.",
    415: "The Content-Type or the Content-Encoding is not supported.",
    422: "The Idempotency-Key was used for another request, or the request must say which tenant it is about.",
    429: "More than the address, the credential or the tenant may. Nothing of this request was taken.",
    500: "A bug here; it was logged.",
    503: "Kafka, or the series catalogue for new series, does not answer. With an Idempotency-Key a repeat is safe.",
}
_NODE_ERRORS: Final = _ERRORS | {
    400: "Not JSON, or a field is missing, of the wrong type or out of bounds: `errors` names it.",
    403: "The tenant is not active, or the permission is missing.",
    413: f"More than {telemetry_contract.MAX_TELEMETRY_BYTES} bytes.",
    422: "The Idempotency-Key was used for another request.",
}
_HISTORY_ERRORS: Final = {status: text for status, text in _NODE_ERRORS.items() if status != 404} | {
    400: "No line could be taken, or the CSV header is wrong.",
    403: "The permission history.import is missing.",
    413: _ERRORS[413],
}
_NODE: Final = {
    "tenantId": "550e8400-e29b-41d4-a716-446655440000",
    "uptime": 86400,
    "activeUsers": 42,
    "exercisesCompletedToday": 156,
    "aiLatency": 247.5,
    "version": "1.2.0",
}
_NODE_WITH_MORE: Final = _NODE | {
    "additionalData": {"cpuUsage": 45.2, "memoryUsage": 62.8, "diskUsage": 38.1, "errorCount": 3}
}
_LINES: Final = json.dumps(_NODE | {"timestamp": "2026-01-01T00:00:00Z"}) + "\n"
_TABLE: Final = (
    "tenantId,uptime,activeUsers,exercisesCompletedToday,aiLatency,version,additionalData,timestamp\n"
    '550e8400-e29b-41d4-a716-446655440000,86400,42,156,247.5,1.2.0,"{""cpuUsage"": 45.2}",2026-01-01 00:00:00+00\n'
)
_TENANT_IN_BODY: Final = frozenset({Route.TELEMETRY, Route.HISTORY})
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body within 24 h adds nothing and gets the first answer again.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]+$", "maxLength": limits.MAX_IDEMPOTENCY_KEY_CHARS},
}
_ENCODING: Final = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the intake routes to FastAPI's document of the others."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_schemas())
    document["components"]["securitySchemes"] = dict(described.SCHEMES)
    paths = document.setdefault("paths", {})
    for item in paths.values():
        for operation in item.values():
            operation["security"] = described.PUBLIC
    paths.update(_paths())
    return document


def _schemas() -> dict[str, Any]:
    types = (
        Metric,
        MetricList,
        CloudEvent,
        TelemetryDto,
        SingleAnswer,
        BatchAnswer,
        TelemetryAnswer,
        HistoryAnswer,
        Problem,
    )
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    metric = schemas["Metric"]["properties"]
    metric["labels"] = _LABELS
    metric["timestamp"] = _STAMP
    metric["name"]["maxLength"] = limits.MAX_NAME_CHARS
    schemas["MetricList"]["properties"]["metrics"].update(minItems=1, maxItems=limits.MAX_BATCH_ITEMS)
    for answer in ("BatchAnswer", "HistoryAnswer"):
        schemas[answer]["properties"]["errors"]["maxItems"] = MAX_LISTED_ERRORS
    schemas["TelemetryAnswer"]["properties"]["timestamp"]["format"] = "date-time"
    node = schemas["TelemetryDto"]["properties"]
    node["additionalData"] = _ADDITIONAL
    node["tenantId"]["maxLength"] = limits.MAX_TENANT_CHARS
    event = schemas["CloudEvent"]["properties"]
    event["data"] = {"description": f"Of the types {', '.join(EVENT_DATA)}; of others any JSON.", "type": "object"}
    event["specversion"]["enum"] = ["1.0"]
    event.pop("data_base64")
    return schemas


def _paths() -> dict[str, Any]:
    single = {
        "requestBody": _body({media.JSON: _content(_ref("Metric"), counter=_COUNTER, gauge=_GAUGE)}),
        "responses": _responses("SingleAnswer", "Taken and acknowledged by Kafka.", _ERRORS),
    }
    listed = _ERRORS | {403: "The permission is missing, or the tenant is not active."}
    metrics = {"oneOf": [_ref("MetricList"), _list("Metric")]}
    batch = {
        "requestBody": _body(
            {media.JSON: _content(metrics, wrapped={"metrics": [_COUNTER, _GAUGE]}, bare=[_COUNTER, _GAUGE])}
        ),
        "responses": _responses("BatchAnswer", "At least one item was taken; `errors` says which were not.", listed),
    }
    events = {
        "parameters": [_ce_header(name) for name in ("specversion", "id", "source", "type", "time")],
        "requestBody": _body(
            {
                cloudevents.STRUCTURED: _content(_ref("CloudEvent"), booking=_BOOKED),
                cloudevents.BATCH: _content(_list("CloudEvent"), bookings=[_BOOKED]),
                media.JSON: _content({}, event=_BOOKED, binary=_BOOKED["data"]),
            },
            required=False,
        ),
        "responses": _responses("BatchAnswer", "At least one event was taken, each as a whole.", listed),
    }
    node = {
        "requestBody": _body({media.JSON: _content(_ref("TelemetryDto"), node=_NODE, more=_NODE_WITH_MORE)}),
        "responses": _responses("TelemetryAnswer", "Taken and acknowledged by Kafka.", _NODE_ERRORS),
    }
    text = {"type": "string"}
    history = {
        "requestBody": _body({JSON_LINES: _content(text, lines=_LINES), CSV: _content(text, table=_TABLE)}),
        "responses": _responses("HistoryAnswer", "At least one line was taken or known.", _HISTORY_ERRORS),
    }
    operations = {
        Route.TELEMETRY: ("Record what a node says of itself", "sendTelemetry", node),
        Route.HISTORY: (
            "Record up to 10,000 lines of the past; what is known adds nothing",
            "importTelemetry",
            history,
        ),
        Route.CUSTOM: ("Record one metric", "recordCustomMetric", single),
        Route.BUSINESS: ("Record one business metric", "recordBusinessMetric", single),
        Route.BATCH: ("Record up to 10,000 metrics; each is judged alone", "recordMetrics", batch),
        Route.EVENTS: ("Record CloudEvents 1.0: structured, batch or binary mode", "recordEvents", events),
    }
    return {route.value: _post(route, *words) for route, words in operations.items()}


def _post(route: Route, summary: str, operation: str, rest: dict[str, Any]) -> dict[str, Any]:
    parameters = [_KEY, _ENCODING, *rest.get("parameters", [])]
    if route not in _TENANT_IN_BODY:
        parameters.append(dict(described.TENANT_PARAMETER))
    post = {
        "security": described.NAMED if route is Route.HISTORY else described.ANYBODY,
        "summary": summary,
        "description": _RULES,
        "operationId": operation,
        "tags": ["intake"],
        **rest,
        "parameters": parameters,
    }
    return {"post": post}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(name=name)}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": limits.MAX_BATCH_ITEMS}


def _content(schema: dict[str, Any], **examples: Any) -> dict[str, Any]:
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def _body(content: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": content}


def _ce_header(attribute: str) -> dict[str, Any]:
    return {
        "name": f"ce-{attribute}",
        "in": "header",
        "required": False,
        "description": "Binary mode: the attribute, percent-encoded; the body is the data.",
        "schema": {"type": "string"},
    }


def _responses(good: str, description: str, errors: dict[int, str]) -> dict[str, Any]:
    replayed = {
        "Idempotency-Replayed": {
            "description": "`true` when this is the stored answer of an earlier request.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
    responses: dict[str, Any] = {
        "201": {"description": description, "headers": replayed, "content": {media.JSON: {"schema": _ref(good)}}}
    }
    for status, text in errors.items():
        answer: dict[str, Any] = {
            "description": text,
            "content": {problems.CONTENT_TYPE: {"schema": _ref("Problem")}},
        }
        if status in (409, 429, 503):
            answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        responses[str(status)] = answer
    return responses
