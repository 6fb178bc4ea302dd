"""Asks the query API, and says what is wrong where it is wrong."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from vigie_standalone.errors import StandaloneError
from vigie_standalone.probes import trust
from vigie_standalone.query.series import Answer, answer_of, printable

TIMEOUT_S = 120.0
_PLACE = re.compile(r"(?:invalid parameter \"query\": )?(\d+):(\d+): (.*)", re.DOTALL)


class NoAnswerError(StandaloneError):
    """Nobody answers at the address, or somebody else does."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(
            f"No Vigie answers at {url} ({printable(str(reason))}). Start `vigie up`, or say where it is with --url or "
            "VIGIE_URL."
        )


class RefusedError(StandaloneError):
    """The query was refused. An expression is shown with a mark under the place that is wrong."""

    def __init__(self, status: int, error: str, expression: str) -> None:
        hint = "\nGive an API key with --key or VIGIE_API_KEY." if status in (401, 403) else ""
        super().__init__(f"{printable(error)}{_marked(error, expression)}{hint}")


def _marked(error: str, expression: str) -> str:
    found, lines = _PLACE.match(error), expression.split("\n")
    if found is None or not 1 <= int(found[1]) <= len(lines):
        return ""
    line, column = lines[int(found[1]) - 1], int(found[2]) - 1
    return f"\n  {printable(line)}\n  {' ' * len(printable(line[:column]))}^"


@dataclass(frozen=True)
class Server:
    """Which Vigie is asked, and as whom."""

    url: str
    key: str = ""
    tenant: str = ""

    @property
    def headers(self) -> dict[str, str]:
        found = {"authorization": f"Bearer {self.key}"} if self.key else {}
        return {**found, "x-scope-orgid": self.tenant} if self.tenant else found


def ask(server: Server, path: str, fields: Mapping[str, str], client: httpx2.Client | None = None) -> Answer:
    """The answer to a query. Raises NoAnswerError, RefusedError."""
    try:
        with client or httpx2.Client(timeout=TIMEOUT_S, verify=trust(server.url)) as http:
            answer = http.post(f"{server.url.rstrip('/')}/api/v1/{path}", data=dict(fields), headers=server.headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NoAnswerError(server.url, error) from None
    body = _json(answer.text)
    if body.get("status") == "error":
        raise RefusedError(answer.status_code, str(body.get("error")), fields["query"])
    if body.get("status") != "success":
        raise NoAnswerError(server.url, body.get("detail") or f"it answered {answer.status_code}")
    return answer_of(answer.text, body)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
