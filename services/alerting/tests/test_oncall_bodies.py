"""What is sent to /api/oncall, judged by itself."""

from __future__ import annotations

import pytest
from vigie_alerting.api.oncall.bodies import PersonBody
from vigie_alerting.escalation.errors import InvalidOnCall
from vigie_alerting.notifiers.mail import addresses


@pytest.mark.parametrize("email", ["ana@example.com", "a.b+on-call@mail.example.co.uk"])
def test_a_person_has_an_address_that_mail_is_sent_to(email: str) -> None:
    assert addresses(PersonBody(email=email).value.email) == [email]


@pytest.mark.parametrize(
    "email",
    [
        "j\u00fcrgen@example.com", "ana@ex\u00e4mple.com", "ana", "@example.com", "ana@",
        "ana@example.com,ben@example.com", "ana@example.com,", " ana@example.com", "Ana <ana@example.com>",
        "ana@example..com", ",",
    ],
)  # fmt: skip
def test_an_address_that_no_mail_could_be_sent_to_is_refused_before_anybody_is_paged(email: str) -> None:
    with pytest.raises(InvalidOnCall, match="email: must be one mail address"):
        _ = PersonBody(email=email).value
