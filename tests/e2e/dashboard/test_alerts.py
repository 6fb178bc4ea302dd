"""Alerts as who is on call works with them: seen, acknowledged, silenced, explained; rules written and tried first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from tests.kit import unique

from .conftest import Look
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

PARTS = ["", "/rules", "/rules/new", "/silences", "/routes", "/channels", "/oncall"]
HOSTILE = """"><img src=x onerror="console.error('xss')"><script>console.error('xss')</script>"""


@pytest.fixture
def fire(look: Look, root: httpx.Client) -> Iterator[Callable[..., str]]:
    """Makes an alert fire; gives the name of its rule."""
    made: list[str] = []

    def one(value: float = 11, **rule: Any) -> str:
        name = unique("alarm").replace("-", "_")
        body = {"name": name, "metricName": name, "condition": ">", "threshold": 10, "severity": "high", **rule}
        answer = root.post("/api/alerts/rules", json=body, headers={"x-scope-orgid": "default"})
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        sample = {"name": name, "type": "gauge", "value": value, "labels": {"service": HOSTILE}}
        with httpx.Client(base_url=look.up.url, timeout=30, trust_env=False) as sender:
            taken = sender.post("/api/metrics/custom", json=sample)
            assert taken.status_code == 201, taken.text
        return name

    yield one
    for rule in made:
        root.delete(f"/api/alerts/rules/{rule}", headers={"x-scope-orgid": "default"})


def test_an_alert_is_acknowledged_silenced_and_explained(look: Look, fire: Callable[..., str]) -> None:
    name = fire()
    page = look.at("#/alerts")
    row = page.locator("tbody tr", has_text=name)
    row.get_by_role("button", name=f"Acknowledge {name}").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Note").fill("on it, ticket 4711")
    box.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("acknowledged")

    row.get_by_role("button", name=f"Silence {name}").click()
    expect(box.get_by_text("It mutes 1 alert that fires now.")).to_be_visible()
    box.get_by_label("Why").fill("known")
    box.get_by_role("button", name="Silence").click()
    expect(box).to_have_count(0)

    row.locator("b").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.locator(".feed").first).to_contain_text("on it, ticket 4711")
    expect(page.locator(".plot canvas")).to_have_count(1)

    page.get_by_role("link", name="Silences").click()
    silence = page.locator("tbody tr", has_text=name)
    expect(silence).to_contain_text("muting")
    silence.get_by_role("button", name="End").click()
    expect(silence).to_have_count(0)


def test_filters_are_in_the_address(look: Look, fire: Callable[..., str]) -> None:
    name = fire()
    page = look.at(f"#/alerts?q={name}")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Severity").select_option("low")
    expect(page.get_by_text("No such alerts.")).to_be_visible()
    expect(page).to_have_url(f"{look.up.url}/#/alerts?q={name}&severity=low")


def test_a_rule_is_tried_over_the_past_saved_changed_and_deleted(look: Look) -> None:
    name = unique("written").replace("-", "_")
    page = look.at("#/alerts/rules/new")
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    editor = page.get_by_role("textbox", name="Expression")
    editor.fill("sum by (service) (rate(bookings_created_total[5m])) > 0.05")
    page.get_by_role("button", name="Try over the last 7 days").click()
    expect(page.get_by_text("It would have fired")).to_be_visible()
    expect(page.locator(".plot canvas")).to_have_count(1)
    expect(page.get_by_text("threshold 0.05")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("version 1")).to_be_visible()
    page.get_by_role("textbox", name="For", exact=True).fill("5m")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("version 2")).to_be_visible()
    expect(page.get_by_role("textbox", name="For", exact=True)).to_have_value("5m")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{look.up.url}/#/alerts/rules")
    expect(page.locator("tbody tr", has_text="ServiceUnavailable").first).to_be_visible()
    expect(page.locator("tbody tr", has_text=name)).to_have_count(0)


def test_what_is_wrong_with_a_rule_stands_beside_its_field(look: Look) -> None:
    look.allowed = ["422"]
    page = look.at("#/alerts/rules/new")
    page.get_by_role("textbox", name="Name", exact=True).fill("wrong")
    page.get_by_role("textbox", name="Expression").fill("histogram_quantil(0.9, x) > 1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".editor .wrong")).to_contain_text("did you mean histogram_quantile")


def test_a_channel_is_made_tested_and_removed(look: Look) -> None:
    name = unique("hook")
    page = look.at("#/alerts/channels")
    page.get_by_role("button", name="New channel").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill(name)
    box.get_by_label("Destination").fill("http://127.0.0.1:9/nobody")
    box.get_by_role("button", name="Save").click()
    row = page.locator("tbody tr", has_text=name)
    row.get_by_role("button", name=f"Test {name}").click()
    expect(row.get_by_role("status")).not_to_be_empty()
    row.get_by_role("button", name="Delete").click()
    box.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_routes_say_where_an_alert_would_go(look: Look) -> None:
    page = look.at("#/alerts/routes")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".card", has_text="Where would it go?").get_by_role("status")).not_to_be_empty()


def test_who_may_only_read_is_offered_nothing_else(
    look: Look, user: Callable[..., str], fire: Callable[..., str]
) -> None:
    fire()
    page = look.at()
    live(page)
    look.log_in(page, user("READONLY"))
    page.goto(f"{look.up.url}/#/alerts")
    expect(page.get_by_role("link", name="Silences")).to_be_visible()
    expect(page.get_by_role("link", name="Rules")).to_have_count(0)
    for word in ("Acknowledge", "Silence"):
        expect(page.get_by_role("button", name=word)).to_have_count(0)


def test_hostile_names_and_messages_are_text_everywhere(look: Look, fire: Callable[..., str]) -> None:
    name = fire(
        annotations={"summary": HOSTILE}, runbook="https://example.com/x", labels={"team": HOSTILE}, severity="critical"
    )
    page = look.at("#/overview")
    expect(page.locator(".firing", has_text=name)).to_contain_text("<img src=x")
    for address in (
        f"#/alerts?q={name}",
        f"#/explore?expr={name}",
        f"#/explore?expr={quote(HOSTILE)}",
        "#/alerts/rules",
    ):
        look.allowed = ["400", "422"]
        page.goto(f"{look.up.url}/{address}")
        live(page)
        assert page.locator("img, iframe, main script").count() == 0
    page.goto(f"{look.up.url}/#/alerts?q={name}")
    page.locator("tbody tr b").first.click()
    expect(page.locator(".facts")).to_contain_text("<img src=x")
    assert page.locator("img, iframe, main script").count() == 0


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("part", PARTS)
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, violations: Callable[[Page], list[str]], part: str, size: str
) -> None:
    page = look.at(f"#/alerts{part}", viewport=SIZES[size])
    live(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
