"""What a message says after each notification, and what of it is worth a sound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.notifiers.text import ESCALATION
from vigie_alerting.slack import said as saying
from vigie_contracts.alerts import Severity, Transition
from vigie_storage.alerts.document import Together

from services.alerting.tests.samples import resolved, transition

SECOND = "01" * 8


def news(*notifications: list[Transition]) -> tuple[str, ...]:
    """Of the last one."""
    said = saying.begun(notifications[0], None)
    last: tuple[str, ...] = ()
    for steps in notifications[1:]:
        said, last = saying.merged(said, steps, None)
    return last


def test_who_joins_is_news_and_who_recovers_is_not() -> None:
    joined = transition(fingerprint=SECOND, rule_name="Disk Full")
    assert news([transition()], [joined]) == ("Disk Full fires too, high",)
    assert news([transition()], [resolved()]) == ()
    assert not saying.merged(saying.begun([transition()], None), [resolved()], None)[0].open


def test_a_severity_that_is_raised_is_news_and_one_that_falls_is_not() -> None:
    worse = transition(id="e1-3", sequence=3, severity=Severity.CRITICAL)
    assert news([transition()], [worse]) == ("High Error Rate: severity raised from high to critical",)
    milder = transition(id="e1-3", sequence=3, severity=Severity.LOW)
    assert news([transition()], [milder]) == ()


def test_what_is_told_again_says_so() -> None:
    assert news([transition()], [transition()]) == ("High Error Rate still fires, and nobody has acknowledged it",)
    again = transition(id="e1-4", sequence=4)
    assert news([transition()], [resolved()], [again]) == ("High Error Rate fires again, high",)


def test_a_step_of_a_chain_says_who_was_told() -> None:
    told = transition(annotations={ESCALATION: "nobody acknowledged it in time, step 2"})
    assert news([transition()], [told]) == ("High Error Rate: nobody acknowledged it in time, step 2",)
    assert news([told], [told]) == ()


def test_an_older_step_changes_nothing() -> None:
    over = saying.begun([resolved()], None)
    assert saying.merged(over, [transition()], None) == (over, ())


def test_a_thousand_that_join_are_a_few_lines() -> None:
    many = [transition(fingerprint=f"{at:016x}", rule_name=f"Rule {at}") for at in range(1_000)]
    said, lines = saying.merged(saying.begun([transition()], None), many, Together("g", "k", "r", {}, 3))
    assert len(lines) == 5
    assert lines[-1] == "and 996 more"
    assert (len(said.steps), said.more) == (100, 901)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=20))
def test_the_newest_of_each_counts_in_whatever_order_they_come(steps: list[tuple[int, int, bool]]) -> None:
    made = [
        (resolved if over else transition)(fingerprint=f"{alert:016x}", sequence=sequence, id=f"{alert}-{sequence}")
        for alert, sequence, over in dict.fromkeys(steps)
    ]
    said = saying.begun([], None)
    for one in made:
        said = saying.merged(said, [one], None)[0]
    newest: dict[str, Transition] = {}
    for one in made:
        if one.fingerprint not in newest or one.sequence >= newest[one.fingerprint].sequence:
            newest[one.fingerprint] = one
    assert {one.fingerprint: one for one in said.steps} == newest
    assert said.open is any(saying.fires(one) for one in newest.values())
    assert [saying.fires(one) for one in said.steps] == sorted((saying.fires(one) for one in said.steps), reverse=True)
