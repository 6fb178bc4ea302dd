"""The OpenAPI document is whole: parameters, credentials, and an example of every refusal."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from vigie_api.app import FEATURES, create_app
from vigie_api.settings import ApiSettings
from vigie_web.access import MOUNT
from vigie_web.app import access_table

ACCESS = {
    (method, path.replace(":path}", "}")): access
    for (method, path), access in access_table(FEATURES).rows.items()
    if method != MOUNT
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = ApiSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
    )
    app = create_app(settings)
    assert app.openapi() is app.openapi()
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_route_is_described_but_those_of_the_description(document: dict[str, Any]) -> None:
    described = {(method, path) for method, path, _ in operations(document)}
    assert {path for _, path in ACCESS.keys() - described} == {
        "/api-docs", "/docs", "/docs/async", "/docs/oauth2-redirect", "/openapi.json", "/redoc",
    }  # fmt: skip
    for method, path, operation in operations(document):
        assert operation["tags"], (method, path)
        assert operation.get("description"), (method, path)


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), (method, path)


def test_every_operation_says_how_to_authenticate(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"
    for method, path, operation in operations(document):
        access = ACCESS[method, path]
        optional = {} in operation["security"]
        assert bool(operation["security"]) is not access.public
        assert optional is (access.permission is not None and not access.platform), (method, path)
        by_header = any(one["name"] == "X-Scope-OrgID" for one in operation["parameters"])
        assert by_header is (optional and "{tenant}" not in path), (method, path)


def test_every_refusal_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        responses = operation["responses"]
        expected = set[str]() if ACCESS[method, path].public else {"401", "403", "429", "503"}
        expected |= {"400", "408", "413", "415", "422"} if "requestBody" in operation else set()
        assert expected <= set(responses), (method, path)
        for status, response in responses.items():
            for media, content in response.get("content", {}).items():
                if media == "application/problem+json":
                    assert content["example"]["status"] == int(status)
                    assert content["example"]["message"] == content["example"]["detail"]
        for status in {"429"} & set(responses):
            assert "Retry-After" in responses[status]["headers"], (method, path)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in schemas
    assert "HTTPValidationError" not in schemas
