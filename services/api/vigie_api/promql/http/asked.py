"""The form of a request, read when its caller is authorised."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from fastapi import Depends
from starlette.requests import Request
from vigie_web.authorized_route import body_of
from vigie_web.errors import UnsupportedMedia

from vigie_api.context import Ctx
from vigie_api.promql.form import Form

FORM: Final = "application/x-www-form-urlencoded"


async def _form(_context: Ctx, request: Request) -> Form:
    """Of a caller who is authorised: of others nothing is read."""
    body = await body_of(request) if request.method == "POST" else b""
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMedia("a form", FORM)
    return Form(request.scope["query_string"], body)


Asked: TypeAlias = Annotated[Form, Depends(_form)]
