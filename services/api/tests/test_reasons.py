"""What is wrong with a parameter or a field is said in our own words: whatever the field, and whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from vigie_api.app import create_app
from vigie_web import reasons

from .test_app import SETTINGS

SENT: tuple[Any, ...] = (
    "", "x" * 100_000, "\u00e9 /", "\ud800", "-1", "0", "1e400", "nan", "99999999999999999999", "2026-13-01",
    "2026-01-31", "2026-01-31T12:00:00", "[]", None, [], {}, [1], ["x"] * 1_000, 1, -1, 1.5, True, float("nan"),
    {"a": 1}, 10**30,
)  # fmt: skip


def parameters() -> Iterator[tuple[str, ModelField]]:
    """Every parameter and body of every route, and where it is."""
    for context in iter_route_contexts(create_app(SETTINGS).routes):
        if isinstance(route := context.original_route, APIRoute):
            for field in fields(route.dependant):
                yield f"{route.path} {field.alias}", field


def fields(dependant: Dependant) -> Iterator[ModelField]:
    yield from (*dependant.path_params, *dependant.query_params, *dependant.header_params, *dependant.body_params)
    for below in dependant.dependencies:
        yield from fields(below)


def bodies(model: type[pydantic.BaseModel]) -> Iterator[dict[str, Any]]:
    """With one field that is wrong, also in what a field holds."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield from ({key: value} for value in SENT)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, pydantic.BaseModel):
                yield from ({key: body} for body in bodies(inner))


def test_every_error_of_every_parameter_has_a_sentence_of_ours() -> None:
    found: dict[str, str] = {}
    for place, field in parameters():
        model = field.field_info.annotation
        is_model = isinstance(model, type) and issubclass(model, pydantic.BaseModel)
        for value in (*SENT, *(bodies(model) if is_model else ())):
            _, errors = field.validate(value, {}, loc=("here",))
            for error in errors or ():
                assert reasons.is_known(error["type"]), f"{place}: {error['type']}: {error['msg']}"
                found[error["type"]] = reasons.reason(error["type"], error.get("ctx", {}))
    assert len(found) > 15
    for said in found.values():
        assert "should" not in said
        assert "{" not in said.replace("{0,127}", "")
    assert found["string_too_short"] == "must not be empty"
    assert found["missing"] == "is missing"
