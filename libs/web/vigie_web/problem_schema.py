"""The shape of errors in the OpenAPI document; `vigie_contracts.problems` writes them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field
from vigie_contracts import problems
from vigie_contracts.problems import CONTENT_TYPE

Responses = dict[int | str, dict[str, Any]]
"""By status, as FastAPI wants them."""


class ItemProblem(BaseModel):
    index: int | None = Field(description="place in the request, from 0; null in warnings for what is beside the items")
    field: str
    reason: str


class Problem(BaseModel):
    """RFC 9457 problem details. `message` repeats `detail`."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    instance: str | None = None
    errors: list[ItemProblem] = Field(default_factory=list[ItemProblem])
    retry_after: int | None = Field(default=None, description="seconds, as in the header Retry-After")


def problem_response(description: str, example: problems.Problem | None = None) -> dict[str, Any]:
    """A response with a problem document, as OpenAPI wants it."""
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if example is not None:
        content["example"] = msgspec.to_builtins(example)
    return {"description": description, "content": {CONTENT_TYPE: content}}


READ_PROBLEMS: Final[Responses] = {
    422: problem_response("A parameter is wrong, or the answer would be larger than one request may have"),
    429: problem_response("The address, the credential or the tenant asks more than it may; see Retry-After"),
    503: problem_response("The store does not answer at the moment; see Retry-After"),
}
