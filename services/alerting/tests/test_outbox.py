"""What one notification lists of many alerts: what a document of the store takes; the others are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
import pytest
from vigie_alerting.escalation.chain import Escalation, State
from vigie_alerting.escalation.escalations import Running, notification, stored, told_over
from vigie_alerting.notifiers.message import message
from vigie_alerting.outbox import MAX_LISTED, MAX_LISTED_BYTES, listed, of_group
from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.document import Address, Notification, outbox_document
from vigie_storage.alerts.escalations import StoredEscalation
from vigie_storage.alerts.groups import Group

from services.alerting.tests.samples import transition

ACME, ANA = TenantId("acme"), Address("email:ana", "email", "ana@example.com")
NOW = 1_790_000_000_000
Tell: TypeAlias = Callable[[Sequence[Transition]], Notification]


def alerts(count: int, annotation: str) -> list[Transition]:
    return [
        transition(id=f"e{n}", fingerprint=f"{n:016x}", annotations={f"a{at}": annotation for at in range(50)})
        for n in range(count)
    ]


def in_group(steps: Sequence[Transition]) -> Notification:
    return of_group(Group(id="g", tenant=ACME, born="b"), steps, ANA, NOW)


def in_chain(steps: Sequence[Transition]) -> Notification:
    return notification(ACME, "db", ANA, steps, NOW, "part")


def over_in_chain(steps: Sequence[Transition]) -> Notification:
    running = Running(Escalation(State.ENDED, 0, 0, None), (ANA,))
    [made] = told_over(
        ACME,
        "db",
        [
            (one, stored(StoredEscalation(one.id, ACME, one.fingerprint, one.episode, "db", True, None, b""), running))
            for one in steps
        ],
        NOW,
    )
    return made


@pytest.mark.parametrize("told", [in_group, in_chain, over_in_chain])
def test_many_large_alerts_fit_into_one_document(told: Tell) -> None:
    steps = alerts(90, "x" * 4_096)
    made = told(steps)
    size = sum(len(one) for one in outbox_document(made)["data"])
    assert MAX_LISTED_BYTES * 0.9 < size <= MAX_LISTED_BYTES
    said = message("n", "ana", made.transitions, "", made.group)
    assert len(said.alerts) + said.more == 90


@pytest.mark.parametrize("told", [in_group, in_chain, over_in_chain])
def test_many_small_ones_are_listed_up_to_a_hundred(told: Tell) -> None:
    made = told(alerts(200, ""))
    assert len(made.transitions) == MAX_LISTED
    assert made.group is not None
    assert made.group.more == 100


def test_a_chain_that_lists_all_is_of_no_group() -> None:
    assert in_chain(alerts(MAX_LISTED, "")).group is None


def test_one_that_is_large_alone_is_listed() -> None:
    [large] = alerts(1, "ü" * 100_000)
    assert len(msgspec.json.encode(large)) > MAX_LISTED_BYTES
    assert listed([large, *alerts(3, "")]) == ((large,), 3)
