"""What an answer contains is judged beside the event loop, and what cannot be judged in time is not the target's
fault."""

from __future__ import annotations

import asyncio
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_runtime.errors import Busy
from vigie_runtime.expressions import ExpressionTooSlow

from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.base import JUDGING, Facts, Failed, Phases, Question, Way

_AGAIN_S: Final = 0.02
"""Between two questions for a thread, while all are busy."""


async def judge(body: bytes, question: Question, way: Way, phases: Phases, facts: Facts | None = None) -> None:
    """Whether the answer meets what is said of the body. Raises Failed, with the facts, when it does not."""
    expect = question.expect
    if not conditions.any_of_body(expect):
        return
    thinking = way.expressions.question("expect", question.tenant)
    with phases.measure(JUDGING):
        while True:
            try:
                sentence = await thinking.run(lambda check: conditions.unmet(expect, body, check))
            except Busy:  # asked again until the deadline
                await asyncio.sleep(_AGAIN_S)
            except (ExpressionTooSlow, conditions.TooMuchWork):
                raise Failed("the conditions take too long for this answer", Verdict.UNKNOWN, facts) from None
            except ValueError:
                raise Failed("the conditions of the target cannot be read", Verdict.UNKNOWN, facts) from None
            else:
                break
    if sentence:
        raise Failed(sentence, facts=facts)
