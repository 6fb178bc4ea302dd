"""What the OpenAPI document says of these routes, whose parameters are in the URL or in a form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from starlette.responses import Response
from vigie_web.problem_schema import Responses

from vigie_api.promql.http.asked import FORM

H = TypeVar("H", bound=Callable[..., Any])
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter."""

    name: str
    description: str
    example: str
    required: bool = False
    several: bool = False

    @property
    def schema(self) -> Schema:
        text = {"type": "string"}
        return {"anyOf": [{"type": "array", "items": text}, text]} if self.several else text

    @property
    def sample(self) -> Any:
        return [self.example] if self.several else self.example


QUERY: Final = Field("query", "a PromQL expression", "sum by (service) (rate(bookings_created_total[5m]))", True)
TIME: Final = Field("time", "Unix seconds or RFC 3339; now by default", "1790000000")
START: Final = Field("start", "Unix seconds or RFC 3339", "1790000000", True)
END: Final = Field("end", "Unix seconds or RFC 3339; included", "1790003600", True)
SINCE: Final = Field(
    "start", "taken, and not looked at: series without a sample in the range are in the answer too", "0"
)
UNTIL: Final = Field("end", "as start", "1790003600")
STEP: Final = Field("step", "seconds, or a duration: 30s, 5m, 1h30m", "15s", True)
TIMEOUT: Final = Field("timeout", "a duration, at most VIGIE_API_PROMQL_TIMEOUT_S", "10s")
LOOKBACK: Final = Field("lookback_delta", "how old the newest sample of a series may be", "5m")
LIMIT: Final = Field("limit", "at most so many; 0 for all. What is left out is told in warnings", "100")
MATCH: Final = Field(
    "match[]", "a selector; several are alternatives", 'bookings_created_total{region="eu"}', several=True
)
MATCHES: Final = Field(MATCH.name, MATCH.description, MATCH.example, True, True)
_REFUSALS: Final = {
    400: ("A parameter is wrong, or the expression is", "bad_data", 'invalid parameter "step": zero or negative query '
          "resolution step widths are not accepted. Try a positive integer"),
    401: ("No credential where one is needed, or one that is not good", "unauthorized",
          "the credential is not valid: unknown, malformed, expired or revoked"),
    403: ("The credential has not the permission", "forbidden", "this needs the permission metrics.read"),
    404: ("The tenant is not the caller's", "not_found", "there is no such tenant"),
    408: ("The body did not arrive in time", "timeout", "the body did not arrive within 10 s"),
    413: ("The body is too long", "bad_data", "the body is longer than 65536 bytes"),
    415: ("The body is no form", "bad_data", f"the body must be a form: send it with Content-Type: {FORM}"),
    422: ("The expression cannot be evaluated, or is too much for one query", "execution",
          "more than 20000 series are selected"),
    429: ("The address, the credential or the tenant asks more than it may", "too_many_requests",
          "6000 requests of this tenant are allowed in a minute; try again in 42 s"),
    503: ("The query took too long, or the store does not answer at the moment", "timeout",
          "query timed out in query execution: it may take 30s"),
}  # fmt: skip
"""Meaning, type and sentence by status."""
_WAIT: Final = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["status", "errorType", "error"],
    "properties": {"status": {"const": "error"}, "errorType": {"type": "string"}, "error": {"type": "string"}},
}


def asked_both_ways(router: APIRouter, path: str, fields: Sequence[Field], data: Any) -> Callable[[H], H]:
    """A handler of GET, with parameters in the URL, and of POST, with a form. `data` is an example."""

    def declare(handler: H) -> H:
        return by_post(asked_by_get(router, path, fields, data)(handler))

    by_post = _asked(router, path, "POST", _in_form(fields), data)
    return declare


def asked_by_get(router: APIRouter, path: str, fields: Sequence[Field], data: Any) -> Callable[[H], H]:
    """A handler of GET only."""
    return _asked(router, path, "GET", _in_url(fields), data)


def _asked(router: APIRouter, path: str, method: str, described: Schema, data: Any) -> Callable[[H], H]:
    return router.api_route(
        path, methods=[method], response_class=Response, responses=_responses(data), openapi_extra=described
    )


def _in_url(fields: Sequence[Field]) -> Schema:
    return {
        "parameters": [
            {
                "name": one.name, "in": "query", "required": one.required, "description": one.description,
                "schema": one.schema, "example": one.sample,
            }
            for one in fields
        ]
    }  # fmt: skip


def _in_form(fields: Sequence[Field]) -> Schema:
    schema = {
        "type": "object",
        "properties": {one.name: {**one.schema, "description": one.description} for one in fields},
        "required": [one.name for one in fields if one.required],
    }
    example = {one.name: one.sample for one in fields}
    return {
        "requestBody": {"required": bool(schema["required"]), "content": {FORM: {"schema": schema, "example": example}}}
    }


def _responses(data: Any) -> Responses:
    found: Responses = {
        200: {
            "description": "The answer, with `warnings` and `infos` when there are some",
            "content": {"application/json": {"schema": _SUCCESS, "example": {"status": "success", "data": data}}},
        }
    }
    for status, (meaning, error_type, error) in _REFUSALS.items():
        example = {"status": "error", "errorType": error_type, "error": error}
        found[status] = {
            "description": meaning,
            "content": {"application/json": {"schema": _ERROR, "example": example}},
            **({"headers": _WAIT} if status in (429, 503) else {}),
        }
    return found


_NOTES: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_SUCCESS: Final[Schema] = {
    "type": "object",
    "required": ["status", "data"],
    "properties": {"status": {"const": "success"}, "data": {}, "warnings": _NOTES, "infos": _NOTES},
}
