"""Bodies that are not read by FastAPI: those whose mistakes are all told at once, and files of YAML."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.requests import Request

from vigie_web.authorized_route import body_of
from vigie_web.context import context_of
from vigie_web.errors import UnsupportedMedia

MAX_FILE_BYTES: Final = 8 << 20
_YAML: Final = ("yaml", "x-yaml", "plain", "octet-stream")


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _json(request: Request) -> bytes:
    await context_of(request)  # whoever asks is authorised before anything is read
    body, media = await body_of(request), _media(request)
    if media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMedia
    return body


async def _yaml(request: Request) -> bytes:
    await context_of(request)
    body, media = await body_of(request), _media(request)
    if media and media.rpartition("/")[2].removeprefix("vnd.") not in _YAML and not media.endswith("+yaml"):
        raise UnsupportedMedia("YAML", "application/yaml")
    return body


JsonBody = Annotated[bytes, Depends(_json)]
YamlBody = Annotated[bytes, Depends(_yaml)]


def described(schema: dict[str, Any], example: Any, media: str = "application/json") -> dict[str, Any]:
    """A body that FastAPI does not see, for the OpenAPI document."""
    return {"requestBody": {"required": True, "content": {media: {"schema": schema, "example": example}}}}
