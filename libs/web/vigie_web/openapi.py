"""The OpenAPI document, completed from the table of access: credentials, and every refusal with an example. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from vigie_contracts.problems import CONTENT_TYPE, ProblemKind
from vigie_identity import openapi_security as security

from vigie_web import problem_schema
from vigie_web.access import TENANT_PARAMETER, Access, AccessTable

Document = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_OF_FASTAPI: Final = ("HTTPValidationError", "ValidationError")


@dataclass(frozen=True, slots=True)
class _ErrorResponse:
    """One status: what it means, and the example of a problem document."""

    status: int
    meaning: str
    kind: ProblemKind
    detail: str
    retry_after: int | None = None

    def exemplify(self, response: Document) -> None:
        """Give a response the example and the headers, unless it has its own."""
        content = response.get("content", {}).get(CONTENT_TYPE)
        if content is None:
            return
        wait = {} if self.retry_after is None else {"retry_after": self.retry_after}
        example = {
            "type": f"/problems/{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "message": self.detail,
            **wait,
        }
        content.setdefault("example", example)
        if wait:
            header = {"description": "Seconds", "schema": {"type": "integer"}}
            response.setdefault("headers", {}).setdefault("Retry-After", header)


_UNAUTHENTICATED: Final = _ErrorResponse(
    401, "No credential where one is needed, or one that is not good", ProblemKind.UNAUTHENTICATED,
    "the credential is not valid: unknown, malformed, expired or revoked",
)  # fmt: skip
_FORBIDDEN: Final = _ErrorResponse(
    403, "The credential has not the permission, or there are as many as there may be", ProblemKind.FORBIDDEN,
    "this needs the permission tenants.manage",
)  # fmt: skip
_TENANT_UNCLEAR: Final = _ErrorResponse(
    400, "The header that names a tenant names several, or is there twice", ProblemKind.MALFORMED,
    "X-Scope-OrgID: name one tenant, in one header",
)  # fmt: skip
_NOT_FOUND: Final = _ErrorResponse(
    404, "There is no such thing, or it belongs to a tenant that is not the caller's", ProblemKind.NOT_FOUND,
    "there is no such tenant",
)  # fmt: skip
_CONFLICT: Final = _ErrorResponse(
    409,
    "It is there already, or not in the state for this",
    ProblemKind.CONFLICT,
    "there is a tenant of that id or name already",
)
_INVALID: Final = _ErrorResponse(
    422, "A parameter or a field is wrong: `errors` names it", ProblemKind.INVALID,
    "limit: must be at most 1000",
)  # fmt: skip
_THROTTLED: Final = _ErrorResponse(
    429, "The address, the credential or the tenant asks more than it may", ProblemKind.THROTTLED,
    "6000 requests without a good credential from this address are allowed in a minute; nothing of this request was "
    "taken, try again in 42 s", 42,
)  # fmt: skip
_AWAY: Final = _ErrorResponse(
    503, "The store does not answer at the moment", ProblemKind.STORE_AWAY,
    "the store does not answer at the moment; ask again in a few seconds", 2,
)  # fmt: skip
_OF_BODIES: Final = (
    _ErrorResponse(
        400,
        "The body is not JSON",
        ProblemKind.MALFORMED,
        "the body is not JSON: it cannot be read from its character 0 on",
    ),
    _ErrorResponse(408, "The body did not arrive in time", ProblemKind.TIMEOUT, "the body did not arrive within 10 s"),
    _ErrorResponse(413, "The body is too long", ProblemKind.TOO_LARGE, "the body is longer than 65536 bytes"),
    _ErrorResponse(
        415, "The body is not said to be JSON", ProblemKind.UNSUPPORTED_MEDIA,
        "the body must be JSON: send it with Content-Type: application/json",
    ),
)  # fmt: skip
_ALL: Final = (
    _UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _INVALID, _THROTTLED, _AWAY, *_OF_BODIES,
)  # fmt: skip


_CONVERTER: Final = re.compile(r":\w+}")
"""Of a parameter in the path of a route: the document has it without."""


def complete(document: Document, table: AccessTable) -> Document:
    """Adds what FastAPI does not know of; changes the document and gives it."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = dict(security.SCHEMES)
    schemas = components.setdefault("schemas", {})
    shape = problem_schema.Problem.model_json_schema(ref_template=_REF)
    schemas |= shape.pop("$defs", {})
    schemas["Problem"] = shape
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    rows = {(method, _CONVERTER.sub("}", path)): access for (method, path), access in table.rows.items()}
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            _complete(operation, path, rows[method.upper(), path])
    return document


def _complete(operation: Document, path: str, access: Access) -> None:
    operation["security"] = _security(access)
    parameters: list[Document] = operation.setdefault("parameters", [])
    named = {one["name"] for one in parameters}
    parameters += [_in_path(name) for name in _IN_PATH.findall(path) if name not in named]
    if _by_header(path, access):
        parameters.append(dict(security.TENANT_PARAMETER))
    responses: Document = operation["responses"]
    if _OF_FASTAPI[0] in str(responses.get("422")):
        del responses["422"]
    for refusal in _refusals(operation, path, access):
        responses.setdefault(str(refusal.status), problem_schema.problem_response(refusal.meaning))
    others = _ALL if "requestBody" in operation else (_TENANT_UNCLEAR, *_ALL)
    for refusal in others:
        refusal.exemplify(responses.get(str(refusal.status), {}))
    operation["responses"] = dict(sorted(responses.items()))


def _security(access: Access) -> list[dict[str, list[str]]]:
    if access.public:
        return security.PUBLIC
    return security.NAMED if access.signed_in or access.platform else security.ANYBODY


def _in_path(name: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _by_header(path: str, access: Access) -> bool:
    return access.permission is not None and not access.platform and f"{{{TENANT_PARAMETER}}}" not in path


def _refusals(operation: Document, path: str, access: Access) -> list[_ErrorResponse]:
    found: list[_ErrorResponse] = []
    if not access.public:
        found += [_UNAUTHENTICATED, _FORBIDDEN, _THROTTLED, _AWAY]
    if "{" in path or _by_header(path, access):
        found.append(_NOT_FOUND)
    if _by_header(path, access) and "requestBody" not in operation:  # else 400 means that the body is not JSON
        found.append(_TENANT_UNCLEAR)
    if "requestBody" in operation:
        found += [*_OF_BODIES, _THROTTLED, _AWAY]
    if "requestBody" in operation or any(one["in"] != "path" for one in operation["parameters"]):
        found.append(_INVALID)
    return found
