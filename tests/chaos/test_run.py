"""PASS is only said when every promised kill was made, something was accepted, and nothing differs."""

import pytest

from tests.chaos.kills import Killer
from tests.chaos.ledger import Difference, Ledger
from tests.chaos.load import Answers
from tests.chaos.run import Options, Result, report


def result(kills: int = 3, accepted: int = 5) -> Result:
    killer = Killer([], 0, 1.0)
    killer.done["kafka SIGKILL"] = kills
    return Result(Options(kills=3, seed=0), Ledger("t"), Answers(accepted=accepted), killer)


def test_complete_run_without_differences_passes() -> None:
    assert result().passed
    assert "PASS" in report(result())


@pytest.mark.parametrize("flaw", ["too few kills", "nothing accepted", "difference", "problem", "wrong answer"])
def test_any_flaw_fails(flaw: str) -> None:
    flawed = result(kills=2 if flaw == "too few kills" else 3, accepted=0 if flaw == "nothing accepted" else 5)
    if flaw == "difference":
        flawed.differences.append(Difference("MongoDB 10s", "m{}", 0, 1, 2))
    if flaw == "problem":
        flawed.problems.append("not counted in time")
    if flaw == "wrong answer":
        flawed.answers.wrong.append("/api/metrics/custom 500")
    assert not flawed.passed
    assert "FAIL" in report(flawed)
