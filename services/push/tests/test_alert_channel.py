"""What of the channel `alerts` needs no store: positions, filters, and how a step is told."""

from typing import Any

import msgspec
import pytest
from vigie_contracts.alerts import AlertState, Severity, Transition, transition_id
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing, NotFound
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push.channels import cursors
from vigie_push.channels.alert_filter import AlertFilter, AlertParameters, narrowed
from vigie_push.channels.alert_messages import Notification, NotifiedAlert, message
from vigie_push.channels.alert_position import MAX_SEEN, OVERLAP_MS, Position
from vigie_push.channels.alerts import AlertFeed
from vigie_push.errors import InvalidCursor

ACME, RIVAL = TenantId("acme"), TenantId("rival")
NOW = 1_790_000_000_000


def step(to: AlertState = AlertState.FIRING, sequence: int = 1, **more: Any) -> Transition:
    fields: dict[str, Any] = {
        "from_state": None,
        "timestamp": NOW,
        "starts_at": NOW,
        "reason": "condition_met",
        "rule_name": "cpu_high",
        "labels": {"alertname": "cpu_high", "service": "booking", "site": "paris"},
    }
    fields |= more
    starts_at = fields["starts_at"]
    return Transition(
        id=transition_id("f", starts_at, sequence),
        fingerprint="f",
        tenant="acme",
        rule_id="r1",
        episode=f"f-{starts_at}",
        sequence=sequence,
        to_state=to,
        **fields,
    )


def tells(one: Transition, **asked: Any) -> bool:
    return AlertFilter(msgspec.convert(asked, AlertParameters, strict=False)).tells(one)


def test_a_position_is_the_same_on_another_replica() -> None:
    here = Position(NOW)
    here.add("a", NOW + 1)
    here.add("b", NOW + 2)
    there = Position.of(here.cursor())
    assert there is not None
    assert there.at_ms == NOW + 2
    assert ("a" in there, "b" in there, "c" in there) == (True, True, False)


def test_a_position_forgets_what_is_before_the_overlap() -> None:
    position = Position(NOW)
    position.add("a", NOW)
    position.add("b", NOW + OVERLAP_MS + 1)
    assert ("a" in position, "b" in position) == (False, True)
    assert position.since_ms == NOW + 1


def test_a_cursor_is_bounded_however_much_happens() -> None:
    position = Position(NOW)
    for number in range(5_000):
        position.add(str(number), NOW)
    assert len(position.cursor()) <= 1_000
    there = Position.of(position.cursor())
    assert there is not None
    assert "4999" in there
    assert sum(str(number) in there for number in range(5_000)) == MAX_SEEN


@pytest.mark.parametrize("cursor", ["!", "AQ", "AQAA", "ä", "a b", "AQAAAAAAAAAAAA", "AX________98", "=" * 8])
def test_a_cursor_that_nobody_made_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="after: is not a cursor of this channel"):
        Position.of(cursor)


@pytest.mark.parametrize("cursor", [None, "", cursors.encode(9, b"of a later version")])
def test_no_cursor_and_one_of_another_form_are_none(cursor: str | None) -> None:
    assert Position.of(cursor) is None


def test_without_filters_every_step_is_told_but_pending_ones() -> None:
    firing, acknowledged = AlertState.FIRING, AlertState.ACKNOWLEDGED
    pending, resolved, inactive = AlertState.PENDING, AlertState.RESOLVED, AlertState.INACTIVE
    steps = [
        (None, pending, False),
        (pending, inactive, False),
        (pending, firing, True),
        (None, firing, True),
        (firing, firing, True),
        (firing, acknowledged, True),
        (acknowledged, firing, True),
        (acknowledged, resolved, True),
        (firing, resolved, True),
        (resolved, pending, False),
        (resolved, firing, True),
        (resolved, inactive, False),
    ]
    assert [(before, to, tells(step(to, from_state=before))) for before, to, _ in steps] == steps


def test_what_leaves_the_statuses_asked_for_is_seen_leaving() -> None:
    leaving = step(AlertState.ACKNOWLEDGED, from_state=AlertState.FIRING)
    assert tells(leaving, status="active")
    assert not tells(step(AlertState.RESOLVED, from_state=AlertState.ACKNOWLEDGED), status="active")
    assert tells(step(AlertState.INACTIVE, from_state=AlertState.PENDING), status=["pending", "active"])


def test_what_leaves_the_severities_asked_for_is_seen_leaving() -> None:
    milder = step(severity=Severity.WARNING, previous_severity=Severity.CRITICAL)
    assert tells(milder, severity="critical")
    assert not tells(step(severity=Severity.WARNING), severity=["critical", "error"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"service": "booking"}, True),
        ({"service": ["billing", "booking"], "site": "paris"}, True),
        ({"service": "booking", "site": "lyon"}, False),
        ({"rule": "r1"}, True),
        ({"rule": "cpu_high"}, True),
        ({"rule": "r2"}, False),
    ],
)
def test_all_filters_must_hold(asked: dict[str, Any], told: bool) -> None:
    assert tells(step(), **asked) is told


def person(role: Role, **places: frozenset[str]) -> Principal:
    return Principal(PrincipalKind.USER, "u", "u", assignments=assigned(Assignment.of(ACME, role, **places)))


def test_who_sees_only_some_alerts_sees_no_others_whatever_is_asked_for() -> None:
    asked = AlertParameters(places=("site=paris",))
    user = person(Role.USER, sites=frozenset({"lyon"}), apps=frozenset({"shop"}))
    mine = narrowed(user, ACME, asked)
    assert mine.places == ("app=shop", "site=lyon")
    assert narrowed(user, ACME, mine) == mine, "judged again, it is the same topic"
    assert not AlertFilter(mine).tells(step())
    assert AlertFilter(mine).tells(step(labels={"site": "lyon"}))
    assert {"search": {"$in": ["app=shop", "site=lyon"]}} in AlertFilter(mine).open()["$and"]
    assert narrowed(person(Role.ADMIN), ACME, asked).places is None
    assert narrowed(person(Role.READONLY), ACME, asked).places == ()
    assert not AlertFilter(narrowed(person(Role.READONLY), ACME, asked)).tells(step())


def test_nobody_sees_alerts_of_a_foreign_tenant() -> None:
    with pytest.raises(NotFound):
        narrowed(person(Role.ADMIN), RIVAL, AlertParameters())
    with pytest.raises(CredentialMissing):
        narrowed(Principal(PrincipalKind.ANONYMOUS, "a", "a"), ACME, AlertParameters())


def test_a_step_is_told_with_its_alert() -> None:
    told = msgspec.to_builtins(
        message(
            step(
                AlertState.ACKNOWLEDGED,
                sequence=3,
                from_state=AlertState.FIRING,
                annotations={"summary": "CPU at 97 %"},
                value=float("inf"),
                actor="alice",
                acknowledged_by="alice",
                acknowledged_at=NOW + 5,
            )
        )
    )
    assert told["type"] == "alert"
    alert = told["data"]
    assert (alert["id"], alert["type"], alert["status"]) == ("f", "cpu_high", "acknowledged")
    assert (alert["message"], alert["value"], alert["site"]) == ("CPU at 97 %", None, "paris")
    assert (alert["acknowledgedBy"], alert["acknowledgedAt"]) == ("alice", "2026-09-21T14:13:20.005Z")
    assert told["change"]["previousStatus"] == "active"
    assert told["change"]["actor"] == "alice"


def notified(site: str, rule: str, status: str = "firing") -> NotifiedAlert:
    return NotifiedAlert(
        fingerprint=site, status=status, severity=Severity.HIGH, rule_id=rule, rule_name=rule, labels={"site": site}
    )


@pytest.mark.parametrize(
    ("places", "shown", "title"),
    [
        (None, 3, "as it was sent"),
        (("site=lyon",), 1, "[RESOLVED] lyon_rule (high)"),
        (("site=paris",), 2, "[FIRING:2] paris_rule and 1 more (high)"),
        (("site=lyon", "site=paris"), 3, "[FIRING:2] paris_rule and 2 more (high)"),
        (("site=rome",), 0, ""),
    ],
)
def test_a_notification_says_nothing_of_alerts_that_one_does_not_see(
    places: tuple[str, ...] | None, shown: int, title: str
) -> None:
    """Its title names all its alerts, also those that it does not list for their number."""
    nobody: Any = None
    feed = AlertFeed(ACME, AlertFilter(AlertParameters(places=places)), nobody, nobody)
    alerts = [notified("paris", "paris_rule"), notified("paris", "other"), notified("lyon", "lyon_rule", "resolved")]
    sent = Notification(id="n", status="firing", title="as it was sent", alerts=alerts)
    told: Any = [update.message for update in feed.updates(sent)]
    assert [(len(one.data.alerts), one.data.title) for one in told] == ([(shown, title)] if shown else [])
    assert all((one.data.status == "firing") == ("RESOLVED" not in title) for one in told)
