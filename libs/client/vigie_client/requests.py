"""What both kinds of middleware record of a request, with labels that have few values."""

from __future__ import annotations

from typing import Final

from vigie_client.client import Client

REQUESTS: Final = "http_requests_total"
"""counter {method, endpoint, status}"""
DURATION: Final = "http_request_duration_seconds"
"""histogram {endpoint}"""
ERRORS: Final = "http_request_errors_total"
"""counter {method, endpoint, error}: failed requests, by the class of their exception or their 5xx status."""
UNMATCHED: Final = "unmatched"
"""The endpoint of requests that no route took: their paths are the callers' inventions."""
OTHER: Final = "other"
GONE: Final = 499
"""The status of a request that was given up before it was answered."""
MAX_ENDPOINTS: Final = 1_000
MAX_ERRORS: Final = 100
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class Requests:
    """Records requests. However many routes an application makes up, the number of series has a bound."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._endpoints: set[str] = set()
        self._errors: set[str] = set()

    def start(self) -> None:
        """Sending begins with the first request, in the process that serves it."""
        self._client.start()

    def finish(self) -> None:
        """The application ends: what was recorded should be sent before its server ends the process. Waits."""
        self._client.flush(self._client.exit_timeout, hurry=True)

    def record(self, method: str, endpoint: str, status: int, seconds: float, error: BaseException | None) -> None:
        """One request. `endpoint` is a template, never a path."""
        endpoint = _bounded(endpoint, self._endpoints, MAX_ENDPOINTS)
        known = method if method in _METHODS else OTHER
        shown = str(status) if 100 <= status <= 599 else OTHER
        self._client.counter(REQUESTS, 1, {"method": known, "endpoint": endpoint, "status": shown})
        self._client.histogram(DURATION, seconds, {"endpoint": endpoint})
        if error is not None or status >= 500:
            name = _bounded(type(error).__name__ if error else shown, self._errors, MAX_ERRORS)
            self._client.counter(ERRORS, 1, {"method": known, "endpoint": endpoint, "error": name})


def _bounded(value: str, known: set[str], limit: int) -> str:
    if value not in known:
        if len(known) >= limit:
            return OTHER
        known.add(value)
    return value
