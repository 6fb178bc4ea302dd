"""What routes of named configuration have in common: versions, and names that may have slashes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Header, Path
from starlette.responses import Response
from vigie_storage.alerts.configuration import Stored
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.named import MAX_NAME_CHARS

CONFLICT: Responses = {409: problem_response("Somebody else changed it: the sentence says who")}
IfMatch = Annotated[
    str | None, Header(max_length=64, description='the version that was changed: "3"; "0": it must be new')
]
Name = Annotated[str, Path(min_length=1, max_length=MAX_NAME_CHARS, description="a / in it is sent as %2F")]
CREATED: Final = 201


def versioned(stored: Stored[Any], response: Response) -> None:
    """The answer has its version as the ETag, and says when it was made."""
    response.headers["etag"] = f'"{stored.version}"'
    if stored.version == 1:
        response.status_code = CREATED
