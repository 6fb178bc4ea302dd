"""What groups tell, and when."""

from vigie_alerting.notifying.groups import LINGER_MS
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.routing.timings import Timings
from vigie_contracts.alerts import AlertState, Severity
from vigie_contracts.decisions import Why

from services.alerting.tests.notifying.office import MUTE, START, H, M, Message, Office, S, step

FIRING, RESOLVED, ACKNOWLEDGED = AlertState.FIRING, AlertState.RESOLVED, AlertState.ACKNOWLEDGED


def said(messages: list[Message]) -> list[list[str]]:
    return [[f"{one.fingerprint} {one.to_state}" for one in message.steps] for message in messages]


def test_the_first_is_told_at_once_and_followers_together_after_the_interval() -> None:
    office = Office()
    assert said(office.dispatch(step("a", 1, FIRING))) == [["a firing"]]
    assert office.until(START + 10 * S) == []
    assert office.dispatch(step("b", 1, FIRING)) == []
    assert office.dispatch(step("c", 1, FIRING)) == []
    told = office.until(START + 29 * S)
    assert told == []
    assert said(office.until(START + 30 * S)) == [["b firing", "c firing"]]
    assert office.whys() == ["sent", "grouped", "grouped", "sent", "sent"]


def test_what_begins_together_is_told_together() -> None:
    office = Office()
    assert said(office.dispatch(step("a", 1, FIRING), step("b", 1, FIRING, severity=Severity.CRITICAL))) == [
        ["b firing", "a firing"]
    ]


def test_after_a_quiet_interval_the_next_is_told_at_once() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.until(START + M)
    assert said(office.dispatch(step("b", 1, FIRING))) == [["b firing"]]


def test_a_group_may_wait_for_more_before_its_first_message() -> None:
    office = Office(timings=Timings(10 * S, 5 * M, 0))
    assert office.dispatch(step("a", 1, FIRING)) == []
    office.until(START + 5 * S)
    assert office.dispatch(step("b", 1, FIRING)) == []
    assert said(office.until(START + 10 * S)) == [["a firing", "b firing"]]


def test_a_resolved_is_told_to_who_was_told_of_the_firing() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.until(START + 5 * S)
    assert office.dispatch(step("a", 2, RESOLVED)) == []
    assert said(office.until(START + M)) == [["a resolved"]]


def test_what_is_over_before_it_was_told_is_not_told() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.dispatch(step("b", 1, FIRING))
    office.until(START + 5 * S)
    office.dispatch(step("b", 2, RESOLVED))
    assert office.until(START + H) == []
    assert office.whys() == ["sent", "grouped", "not_told"]


def test_what_fires_on_is_told_again_and_what_is_acknowledged_is_not() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING), step("b", 1, FIRING))
    office.until(START + 10 * S)
    office.dispatch(step("a", 2, ACKNOWLEDGED, acknowledged_by="anna"))
    told = office.until(START + 9 * H)
    assert said(told) == [["b firing"], ["b firing"]]
    assert [one.at - START for one in told] == [4 * H, 8 * H]
    assert office.whys()[-2:] == ["repeated", "repeated"]


def test_what_was_acknowledged_before_it_was_told_is_told_when_that_is_taken_back() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.dispatch(step("b", 1, FIRING))
    office.until(START + S)
    office.dispatch(step("b", 2, ACKNOWLEDGED, acknowledged_by="anna"))
    assert office.until(START + M) == []
    assert (Why.ACKNOWLEDGED, "anna has it") in [(one.why, one.detail) for one in office.decisions]
    assert said(office.dispatch(step("b", 3, FIRING))) == [["b firing"]]


def test_what_is_muted_is_held_and_told_when_that_ends() -> None:
    office = Office()
    muted = Mute(Why.MAINTENANCE, "w1", "maintenance until noon", START + 10 * M)
    office.muted = lambda _: muted if office.now < START + 10 * M else None
    assert office.dispatch(step("a", 1, FIRING)) == []
    told = office.until(START + H)
    assert said(told) == [["a firing"]]
    assert told[0].at == START + 10 * M
    assert office.whys() == ["maintenance", "sent"]


def test_a_mute_without_an_end_is_looked_at_again_and_said_once() -> None:
    office = Office()
    office.muted = lambda _: MUTE
    office.dispatch(step("a", 1, FIRING))
    assert office.until(START + H) == []
    assert office.whys() == ["silenced"]
    office.muted = lambda _: None
    assert said(office.until(START + H + M)) == [["a firing"]]


def test_a_resolved_is_told_in_spite_of_a_silence_that_came_after_the_firing() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.muted = lambda _: MUTE
    office.until(START + M)
    assert said(office.dispatch(step("a", 2, RESOLVED))) == [["a resolved"]]


def test_an_end_that_late_data_takes_back_is_told_too() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.until(START + M)
    office.dispatch(step("a", 2, RESOLVED, START + M))
    office.until(START + 2 * M)
    assert said(office.dispatch(step("a", 3, RESOLVED, from_state=RESOLVED))) == [["a resolved"]]
    office.until(START + 3 * M + 2 * LINGER_MS)
    assert (office.groups, office.members) == ({}, {}), "what is over is forgotten"


def test_an_end_that_waits_is_told_though_the_condition_held_again_for_a_moment() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.dispatch(step("a", 2, RESOLVED))
    office.dispatch(step("a", 3, AlertState.PENDING), step("a", 4, AlertState.INACTIVE))
    assert said(office.until(START + M)) == [["a resolved"]]


def test_the_end_of_what_fired_before_there_were_routes_is_told_as_the_firing_was() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING), direct=True, routes=())
    told = office.dispatch(step("a", 2, RESOLVED))
    assert [(message.group, message.steps[0].to_state) for message in told] == [("", RESOLVED)]


def test_a_later_step_takes_the_place_of_one_that_waits() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING), step("b", 1, FIRING))
    office.dispatch(step("a", 2, RESOLVED))
    office.dispatch(step("a", 3, FIRING))
    assert said(office.until(START + M)) == [["a firing"]]
    assert office.whys()[2:] == ["grouped", "superseded", "grouped", "sent"]


def test_doing_it_again_changes_nothing() -> None:
    office = Office()
    office.muted = lambda fingerprint: MUTE if fingerprint == "b" else None
    steps = step("a", 1, FIRING), step("b", 1, FIRING), step("a", 2, RESOLVED), step("b", 2, RESOLVED)
    for one in steps:
        office.dispatch(one, direct=True)
    before = dict(office.members), list(office.decisions)
    for one in steps[2:]:
        told = office.dispatch(one, direct=True)
        assert [message.group for message in told if message.group] == []
        assert said(told) in ([["a resolved"]], [])  # the same id: the outbox has it already
    assert (office.members, office.decisions) == before


def test_the_channels_of_a_rule_are_told_of_each_step_at_once() -> None:
    office = Office()
    told = [office.dispatch(step("a", n, to), direct=True, routes=()) for n, to in ((1, FIRING), (2, RESOLVED))]
    assert [said(one) for one in told] == [[["a firing"]], [["a resolved"]]]
    assert (office.groups, office.members, office.decisions) == ({}, {}, [])


def test_what_is_muted_is_held_from_the_channels_of_its_rule_too() -> None:
    office = Office()
    office.muted = lambda _: MUTE if office.now < START + M else None
    assert office.dispatch(step("a", 1, FIRING), step("b", 1, FIRING), direct=True, routes=()) == []
    assert office.dispatch(step("b", 2, RESOLVED), direct=True, routes=()) == []
    assert said(office.until(START + H)) == [["a firing"]]
    assert said(office.dispatch(step("a", 2, RESOLVED), direct=True, routes=())) == [["a resolved"]]
    assert (office.groups, office.members) == ({}, {})
    assert office.whys() == ["silenced", "silenced", "not_told", "sent"]


def test_who_was_told_of_the_firing_is_told_of_the_end_though_a_worse_severity_was_held() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING), direct=True, routes=())
    office.muted = lambda _: MUTE
    worse = step("a", 2, FIRING, severity=Severity.CRITICAL, from_state=FIRING)
    assert office.dispatch(worse, direct=True, routes=()) == []
    assert said(office.dispatch(step("a", 3, RESOLVED), direct=True, routes=())) == [["a resolved"]]


def test_a_group_that_routes_no_longer_give_tells_the_end_and_nothing_again() -> None:
    office = Office()
    office.dispatch(step("a", 1, FIRING))
    office.until(START + M)
    assert said(office.dispatch(step("a", 2, FIRING, severity=Severity.CRITICAL), routes=("web",))) == [["a firing"]]
    assert len(office.until(START + 5 * H)) == 1, "only the new one repeats"
    office.until(START + 6 * H)
    assert said(office.dispatch(step("a", 3, RESOLVED), routes=("web",))) == [["a resolved"], ["a resolved"]]
