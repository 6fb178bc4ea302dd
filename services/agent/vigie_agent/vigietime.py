"""What Vigie's clock shows, as late as it can be: for what must not be done too late, whatever held the agent up.

No clock of this machine is compared with it: between two answers only the time that passes is counted, also while the
process is frozen and while the machine sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_RESOLUTION_S: Final = 1.0
"""Of the header `Date`."""
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)


def passing() -> float:
    """Seconds that do not stop: not with the process, and on Linux not with the machine either."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class VigieTime:
    """Learned from answers. For any thread."""

    def __init__(self, clock: Callable[[], float] = passing) -> None:
        self._clock = clock
        self._ahead: float | None = None

    def learn(self, date: str | None, asked_at: float) -> None:
        """An answer with this header `Date` came to a question of that time of `passing`: Vigie's clock showed it then
        or later."""
        try:
            at = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        self._ahead = at.timestamp() + _RESOLUTION_S - asked_at

    def at_most_ms(self) -> int | None:
        """Milliseconds since 1970: it is no later there. None: no answer has come yet."""
        return None if self._ahead is None else round((self._clock() + self._ahead) * 1000)
