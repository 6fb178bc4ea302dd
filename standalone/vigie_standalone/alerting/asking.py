"""Asks a service for its own part of the API, and says in one sentence what it refuses."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from vigie_standalone.errors import StandaloneError
from vigie_standalone.probes import trust
from vigie_standalone.query.asking import NoAnswerError, Server
from vigie_standalone.query.series import printable

TIMEOUT_S = 60.0
_PAGE = 1_000


class RefusedError(StandaloneError):
    """The request was refused: every reason on a line of its own."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        errors = [f"{one['field']}: {one['reason']}" for one in problem.get("errors", ())]
        told = "\n  ".join([str(problem.get("detail") or problem.get("error")), *errors] if len(errors) > 1 else [])
        hint = "\nGive an API key with --key or VIGIE_API_KEY." if status in (401, 403) else ""
        super().__init__(printable_lines(told or str(problem.get("detail") or problem.get("error"))) + hint)
        self.status = status


def printable_lines(text: str) -> str:
    """Without what a terminal would obey, line by line."""
    return "\n".join(printable(line) for line in text.split("\n"))


class Api:
    """One command's conversation."""

    def __init__(self, server: Server, below: str, client: httpx2.Client | None = None) -> None:
        """`below` begins every path that is asked for: `/api/alerts`."""
        self._server, self._below = server, below
        self._client = client or httpx2.Client(timeout=TIMEOUT_S, verify=trust(server.url))

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON answer, its text when it is none. Raises NoAnswerError, RefusedError."""
        url = f"{self._server.url.rstrip('/')}{self._below}{path}"
        headers = {**self._server.headers, **more.pop("headers", {})}
        try:
            answer = self._client.request(method, url, headers=headers, **more)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NoAnswerError(self._server.url, error) from None
        if "json" not in answer.headers.get("content-type", ""):
            if answer.is_success:
                return answer.text
            raise NoAnswerError(self._server.url, f"it answered {answer.status_code}")
        body = json.loads(answer.text) if answer.text else None
        if not answer.is_success:
            raise RefusedError(answer.status_code, body if isinstance(body, dict) else {})
        return body

    def all(self, path: str, what: str, most: int, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Items of a listing, page by page, at most `most`."""
        cursor: str | None = None
        left = most
        while left > 0:
            asked = {**parameters, "limit": min(left, _PAGE), **({"cursor": cursor} if cursor else {})}
            page = self.ask("GET", path, params=asked)
            yield from page[what]
            left -= len(page[what])
            if (cursor := page.get("nextCursor")) is None:
                return
