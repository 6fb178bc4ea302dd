"""A target that is not asked but reports by itself: up as long as it was heard of in time, and said nothing bad."""

from __future__ import annotations

import time
from datetime import timedelta

from vigie_contracts.checks import Verdict
from vigie_query.times import iso
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.beats import Beat

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way


async def heartbeat(question: Question, way: Way, phases: Phases) -> Facts:
    if way.beats is None:
        raise Failed("heartbeats are not heard here", Verdict.UNKNOWN)
    try:
        with phases.measure("processing"):
            beat = await way.beats.last(question.target)
    except StoreUnavailable:
        raise Failed("the store does not say when it was last heard of", Verdict.UNKNOWN) from None
    if beat is None:
        raise Failed("it has no token that it could be heard by", Verdict.UNKNOWN)
    return judged(beat, question.heard_every, question.may_be_late, round(time.time() * 1000))


def judged(beat: Beat, every: timedelta, late: timedelta, now_ms: int) -> Facts:
    """What the last beat means at that time. Raises Failed."""
    expected = f"it is to be heard of every {_length(every)}"
    last_ms = beat.at_ms or beat.since_ms
    age_ms = max(0, now_ms - last_ms)
    overdue = age_ms > (every + late) / timedelta(milliseconds=1)
    if not beat.at_ms:
        if overdue:
            raise Failed(f"it was never heard of since {iso(last_ms)}; {expected}")
        raise Failed(f"it was not heard of yet; {expected}", Verdict.UNKNOWN)
    facts = {"probe_heartbeat_age_seconds": age_ms / 1000}
    if beat.code is not None:
        facts["probe_heartbeat_exit_code"] = float(beat.code)
    if overdue:
        raise Failed(f"it was last heard of at {iso(last_ms)}; {expected}", facts=facts)
    if beat.failed:
        code = "" if beat.code is None else f" with exit code {beat.code}"
        raise Failed(f"it said at {iso(last_ms)} that it has failed{code}", facts=facts)
    return facts


def _length(length: timedelta) -> str:
    """`90 s`, `15 min`, `24 h`."""
    seconds = length.total_seconds()
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
