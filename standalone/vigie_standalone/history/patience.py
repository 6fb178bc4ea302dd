"""A request that is repeated until it has an answer that settles it."""

import time
from collections.abc import Callable
from typing import Any

import httpx2

from vigie_standalone.demo.sender import RETRYABLE, retry_after
from vigie_standalone.errors import StandaloneError

GIVE_UP_S = 300.0
"""Without any answer but "later" for so long."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TIMEOUT_S = 60.0


class ImportFailedError(StandaloneError):
    """The import stopped, and goes on there when it is run again."""


class Patient:
    """Asks one request after the other."""

    def __init__(
        self,
        client: httpx2.Client,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        unanswered: Callable[[float], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client` knows the URL and the credential; `waiting` is told why a request has to wait, and `unanswered`,
        once per request, for how many seconds it tries again when nobody answers.
        """
        self.client = client
        self._waiting = waiting
        self._unanswered = unanswered
        self._sleep = sleep
        self._clock = clock

    def ask(
        self,
        method: str,
        path: str,
        place: str,
        *,
        later: frozenset[int] = frozenset(),
        settled: frozenset[int] = frozenset(),
        **request: Any,
    ) -> httpx2.Response:
        """The answer; `place` says in an error where the import is, `later` which statuses mean that besides those
        that always do, `settled` which of them do not. Raises ImportFailedError."""
        pause, end = _FIRST_PAUSE_S, self._clock() + GIVE_UP_S
        said = False
        while True:
            wait = pause
            try:
                answer = self.client.request(method, path, timeout=_TIMEOUT_S, **request)
            except httpx2.TransportError as error:
                why = f"no answer from {self.client.base_url}: {error or type(error).__name__}"
                if not said:
                    self._unanswered(end - self._clock())
                    said = True
            else:
                if answer.status_code not in (RETRYABLE | later) - settled:
                    return answer
                why = message(answer)
                wait = retry_after(answer.headers.get("retry-after"), pause)
            if self._clock() + wait > end:
                raise ImportFailedError(f"Gave up at {place} after {GIVE_UP_S:.0f} s: {why}.")
            self._waiting(why)
            self._sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def pause_of(answer: httpx2.Response) -> float:
    """Seconds for which it asks to wait."""
    return retry_after(answer.headers.get("retry-after"), _FIRST_PAUSE_S)


def message(answer: httpx2.Response) -> str:
    """What a problem says, on one line."""
    return str(json_of(answer).get("message") or answer.reason_phrase)[:300].rstrip(".")


def json_of(answer: httpx2.Response) -> dict[str, Any]:
    """The object that was answered; empty when it is none."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
