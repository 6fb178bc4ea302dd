"""The comparison of alerts must notice everything, or its PASS means nothing."""

from __future__ import annotations

import pytest

from tests.chaos.alerts import CONFIRMED_S, AlertLedger, differences, repeats, unexplained
from tests.kit.webhooks import Delivery

ALL = [("n1", "firing"), ("n2", "resolved"), ("n3", "firing"), ("n4", "resolved")]
STATUSES = [status for _, status in ALL]


def ledger() -> AlertLedger:
    made = AlertLedger("t")
    made.expected["a"] = STATUSES
    return made


def told(*notifications: tuple[str, str], host: str = "a") -> list[Delivery]:
    return [
        Delivery(one, 0.0, {}, {"alerts": [{"status": status, "labels": {"host": host}}]})
        for one, status in notifications
    ]


def test_what_came_once_or_again_before_anything_newer_is_right() -> None:
    assert not differences(ledger(), {"a": STATUSES}, told(*ALL))
    again = told(ALL[0], ALL[0], *ALL[1:])
    assert not differences(ledger(), {"a": STATUSES}, again)
    assert repeats(again) == {"n1": 1}


def test_what_came_again_is_explained_by_a_death_before_it_was_confirmed() -> None:
    first, again = (Delivery("n1", at, {}, {"alerts": []}) for at in (100.0, 110.0))
    assert not unexplained([first], [])
    assert not unexplained([first, again], [100.3])
    assert unexplained([first, again], [])
    assert unexplained([first, again], [99.9, 110.1])
    assert unexplained([first, again], [100.0 + CONFIRMED_S + 0.1])
    assert unexplained([first, again, Delivery("n1", 120.0, {}, {"alerts": []})], [100.3])


@pytest.mark.parametrize(
    "deliveries",
    [
        told(*ALL[:3]),
        told(ALL[1], ALL[0], *ALL[2:]),
        told(*ALL[:2], ALL[0], *ALL[2:]),
        told(*ALL, ("n5", "firing")),
        told(*ALL) + told(("n5", "firing"), host="b"),
        [],
    ],
    ids=["lost", "out of order", "again after something newer", "too many", "of nobody", "nothing"],
)
def test_any_flaw_of_what_was_told_is_a_difference(deliveries: list[Delivery]) -> None:
    assert differences(ledger(), {"a": STATUSES}, deliveries)


@pytest.mark.parametrize(
    "found", [{}, {"a": STATUSES[:3]}, {"a": [*STATUSES, "firing"]}, {"a": STATUSES, "b": ["firing"]}]
)
def test_any_flaw_of_what_was_stored_is_a_difference(found: dict[str, list[str]]) -> None:
    assert differences(ledger(), found, told(*ALL))
