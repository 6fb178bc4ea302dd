"""The OpenAPI description of the intakes: what all of them share, and helpers to describe one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from vigie_contracts import limits
from vigie_identity import openapi_security
from vigie_web.problem_schema import problem_response

from vigie_ingest.bodies import IDENTITY
from vigie_ingest.intake import Intake
from vigie_ingest.media import JSON

_REF: Final = "#/components/schemas/{name}"
_RULES: Final = (
    "201 is sent after Kafka acknowledged everything that counts as accepted. Unknown fields are ignored and "
    "named in `warnings`; of a field "
    "that is there twice the last one counts, but a label that is there twice is refused. NaN and Infinity are refused "
    "with their item only."
)
ERRORS: Final[dict[int, str]] = {
    400: "The body cannot be read, or nothing of it could be taken: the answer names index, field and reason.",
    401: "No credential was sent where one is needed, or the one that was sent is not good.",
    403: "The permission is missing; or the tenant has all the series it may have, and this one is new: a batch says "
    "so per item instead.",
    404: "There is no such tenant, or it is not the caller's.",
    408: "The body did not arrive in time.",
    409: "A request with this Idempotency-Key is being worked on.",
    413: f"More than {limits.MAX_BODY_BYTES} bytes, {limits.MAX_DECOMPRESSED_BYTES} after decompression, "
    f"or {limits.MAX_BATCH_ITEMS} items.",
    415: "The Content-Type is missing or not supported, or the Content-Encoding is not.",
    422: "The Idempotency-Key was used for another request, or the request must say which tenant it is about.",
    429: "More than the address, the credential or the tenant may. Nothing of this request was taken.",
    500: "A bug here; it was logged.",
    503: "Kafka, or the series catalogue for new series, does not answer. With an Idempotency-Key a repeat is safe.",
}
"""What every intake may answer, by status."""
LISTED_ERRORS: Final = ERRORS | {403: "The permission is missing, or the tenant is not active."}
"""The same for lists, of which each item is judged alone."""
NODE_ERRORS: Final = ERRORS | {
    400: "Not JSON, or a field is missing, of the wrong type or out of bounds: `errors` names it.",
    403: "The tenant is not active, or the permission is missing.",
    422: "The Idempotency-Key was used for another request.",
}
"""The same where the body names the tenant."""
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body within 24 h adds nothing and gets the first answer again.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]+$", "maxLength": limits.MAX_IDEMPOTENCY_KEY_CHARS},
}
_REPLAYED: Final = {
    "Idempotency-Replayed": {
        "description": "`true` when this is the stored answer of an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def with_intakes(
    made: Callable[[], dict[str, Any]], intakes: Sequence[Intake[Any, Any]]
) -> Callable[[], dict[str, Any]]:
    """The document that `made` makes of the other routes, with the intakes in it: made once."""

    @cache
    def document() -> dict[str, Any]:
        found = made()
        types: list[type] = []
        for intake in intakes:
            types += intake.operation.schemas
            path = f"{intake.path[:-2]}/{{rest}}" if intake.path.endswith("/*") else intake.path
            found["paths"].setdefault(path, {})[intake.method.lower()] = _operation(intake)
        _, schemas = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
        for intake in intakes:
            intake.operation.refine(schemas)
        found["components"]["schemas"] = schemas | found["components"]["schemas"]
        return found

    return document


def _operation(intake: Intake[Any, Any]) -> dict[str, Any]:
    operation, admission = intake.operation, intake.admission
    codings = {"type": "string", "enum": list(intake.codings)}
    must = IDENTITY not in intake.codings
    encoding = {"name": "Content-Encoding", "in": "header", "required": must, "schema": codings}
    tenant = [dict(openapi_security.TENANT_PARAMETER)] if admission.tenant_header else []
    return {
        "security": openapi_security.NAMED if admission.needs_credential else openapi_security.ANYBODY,
        "summary": operation.summary,
        "description": operation.description or _RULES,
        "operationId": operation.id,
        "tags": ["intake"],
        "parameters": [_KEY, encoding, *operation.parameters, *tenant],
        "requestBody": operation.body,
        "responses": operation.responses,
    }


def ref(type_: type) -> dict[str, Any]:
    """The schema of a type that is in `Operation.schemas`."""
    return {"$ref": _REF.format(name=type_.__name__)}


def list_of(type_: type) -> dict[str, Any]:
    """The schema of a list of them, as long as a batch may be."""
    return {"type": "array", "items": ref(type_), "minItems": 1, "maxItems": limits.MAX_BATCH_ITEMS}


def content(schema: Mapping[str, Any], **examples: Any) -> dict[str, Any]:
    """What a body of one media type is, and examples that are taken: a test sends them."""
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def body(by_media: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The body of a request, of one of these media types."""
    return {"required": required, "content": dict(by_media)}


def created(type_: type, description: str, errors: Mapping[int, str]) -> dict[str, Any]:
    """The responses of an intake that answers 201 with JSON, and errors with problem details."""
    good = {"description": description, "headers": _REPLAYED, "content": {JSON: {"schema": ref(type_)}}}
    return {"201": good} | problems_of(errors)


def problems_of(errors: Mapping[int, str]) -> dict[str, Any]:
    """The responses of errors, as problem details."""
    responses: dict[str, Any] = {}
    for status, text in errors.items():
        described = problem_response(text)
        if status in (409, 429, 503):
            described["headers"] = _RETRY_AFTER
        responses[str(status)] = described
    return responses
