"""Points at which tests and chaos runs end the process: where a crash costs most.

`VIGIE_FAILPOINT=after_send` kills the process when it gets there, `after_send@3` the third time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

VARIABLE: Final = "VIGIE_FAILPOINT"


class Point(StrEnum):
    AFTER_STORE = "after_store"
    """Transitions and notifications are stored, nobody was told of it."""
    AFTER_CLAIM = "after_claim"
    BEFORE_SEND = "before_send"
    AFTER_SEND = "after_send"
    """Delivered, not confirmed."""
    AFTER_POST = "after_post"
    """A receiver has a message that is edited later, and where it has it is not stored."""
    AFTER_CONFIRM = "after_confirm"
    BEFORE_ESCALATION = "before_escalation"
    """A step of an escalation chain is written in a transaction that is not committed."""
    AFTER_ESCALATION = "after_escalation"
    """It is stored with its notifications, and the sender was not woken."""
    AFTER_GROUP_CLAIM = "after_group_claim"
    """Groups that are due are claimed, nothing was decided."""
    AFTER_GROUP_STORE = "after_group_store"
    """What they tell is stored, nobody was told of it."""


Failpoint: TypeAlias = Callable[[Point], None]
"""Called at each point; one that raises or kills stands for the crash."""


def never(_: Point) -> None:
    """Nothing fails."""


def from_environment() -> Failpoint:
    """What the variable says. Raises ValueError, with a sentence, for a point that there is none of."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return never
    name, _, count = text.partition("@")
    if name not in list(Point) or not (count or "1").isdecimal():
        raise ValueError(f"{VARIABLE} is one of {', '.join(Point)}, with @ and a number or without")
    wanted, left = Point(name), int(count or 1)

    def kill(point: Point) -> None:
        nonlocal left
        if point is wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return kill
