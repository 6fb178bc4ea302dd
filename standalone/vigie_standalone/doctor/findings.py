"""What an examination says."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not as promised."""
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do; empty where all is well."""

    what: str
    level: Level
    text: str
    advice: str = ""


def ok(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(what, Level.OK, text)


def warning(what: str, text: str, advice: str) -> Finding:
    """Somebody should act soon."""
    return Finding(what, Level.WARNING, text, advice)


def failed(what: str, text: str, advice: str) -> Finding:
    """Somebody has to act."""
    return Finding(what, Level.FAILED, text, advice)


def clock(what: str, ahead_s: float) -> Finding:
    """What a clock is worth that is so far ahead of this machine's."""
    text = f"its clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    advice = "set both clocks by NTP: samples land in the window of their timestamp, and tokens expire by it"
    if abs(ahead_s) < WARNING_SKEW_S:
        return ok(what, "its clock agrees with this machine's")
    return (warning if abs(ahead_s) < FAILED_SKEW_S else failed)(what, text, advice)


def space(what: str, free: float, total: float) -> Finding:
    """What is left of a disk, bytes."""
    share = free / total if total else 1.0
    text = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB are free ({share:.0%})"
    advice = "make room, or a larger disk, before it is full: see docs/scaling.md for what a series costs"
    if share >= WARNING_FREE:
        return ok(what, text)
    return (warning if share >= FAILED_FREE else failed)(what, text, advice)


WARNING_SKEW_S, FAILED_SKEW_S = 2.0, 30.0
WARNING_FREE, FAILED_FREE = 0.15, 0.03
