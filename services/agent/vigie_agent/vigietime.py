"""What Vigie's clock shows, as late as it can be: for what must not be done too late, whatever held the agent up.

No clock of this machine is compared with it: between two answers only the time that passes is counted, also while the
process is frozen and while the machine sleeps. A virtual machine that its host pauses counts nothing meanwhile, so the
time is asked for each command anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)


def passing() -> float:
    """Seconds that do not stop: not with the process, and on Linux not with the machine either."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class VigieTime:
    """Learned from answers. For any thread."""

    def __init__(self, clock: Callable[[], float] = passing) -> None:
        self.clock = clock
        self._ahead_ms: float | None = None

    def learn(self, told_ms: int, asked_at: float) -> None:
        """Vigie's clock showed this, milliseconds since 1970, when it answered a question of that time of `clock`: it
        showed no more when it was asked."""
        self._ahead_ms = told_ms - asked_at * 1000

    def at_most_ms(self) -> int | None:
        """Milliseconds since 1970: it is no later there. None: no answer has come yet."""
        return None if self._ahead_ms is None else round(self.clock() * 1000 + self._ahead_ms)
