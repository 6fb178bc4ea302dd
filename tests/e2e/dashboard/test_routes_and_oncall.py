"""Who is told, and who is on call: changed in the page, tried before it is saved, refused at the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from tests.kit import unique

from .conftest import Look
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

OF_DEFAULT = {"x-scope-orgid": "default"}
ROUTES = "/api/alerts/routes"


@pytest.fixture
def api(root: httpx.Client) -> Iterator[Callable[..., httpx.Response]]:
    """The API about the tenant `default`, which has no routes before and after."""

    def call(method: str, path: str, body: object = None) -> httpx.Response:
        return root.request(method, path, json=body, headers=OF_DEFAULT)

    yield call
    call("DELETE", ROUTES)


def test_routes_are_made_tried_and_saved(look: Look, api: Callable[..., httpx.Response]) -> None:
    look.allowed = ["422"]
    page = look.at("#/alerts/routes")
    page.get_by_role("button", name="Change", exact=True).click()
    box = page.get_by_role("dialog")
    for name, channels in (("ops", "email ops@example.com"), ("db", "email db@example.com")):
        page.get_by_role("button", name="New receiver").click()
        box.get_by_label("Name").fill(name)
        box.get_by_label("Channels").fill(channels)
        box.get_by_role("button", name="Take over").click()
    page.get_by_role("button", name="Change: all alerts").click()
    box.get_by_label("Who is told").select_option("ops")
    box.get_by_role("button", name="Take over").click()
    page.get_by_role("button", name="Add below: all alerts").click()
    box.get_by_label("It takes alerts").fill('team=~"["')
    box.get_by_label("Who is told").select_option("db")
    box.get_by_role("button", name="Take over").click()
    branch = page.locator(".tree.edit li li")
    expect(branch.locator(".wrong")).to_contain_text("matchers")
    branch.get_by_role("button", name="Change:").click()
    box.get_by_label("It takes alerts").fill('team="db"')
    box.get_by_label("Told again every").fill("critical: 1h, default: 4h")
    box.get_by_role("button", name="Take over").click()
    expect(branch.locator(".wrong")).to_have_count(0)

    where = page.locator(".card", has_text="Where would it go?")
    where.get_by_label("Labels").fill("alertname=DiskFull\nseverity=critical\nteam=db")
    where.get_by_role("button", name="Ask").click()
    expect(where.get_by_role("status")).to_contain_text("to 'db'")
    assert api("GET", ROUTES).json()["version"] == 0, "nothing is stored yet"
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".card header", has_text="version 1,")).to_be_visible()
    stored = api("GET", ROUTES).json()
    assert stored["route"]["receiver"] == "ops"
    assert stored["route"]["routes"][0]["repeatInterval"] == {"critical": "1h", "default": "4h"}
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("button", name="Remove all routes").click()
    box.get_by_role("button", name="Remove all routes").click()
    expect(page.get_by_text("There are no routes")).to_be_visible()


def test_who_saves_routes_second_is_told_who_was_faster(look: Look, api: Callable[..., httpx.Response]) -> None:
    look.allowed = ["409"]
    tree = {"route": {"receiver": "ops"}, "receivers": {"ops": {}, "desk": {}}}
    first = api("PUT", ROUTES, tree)
    assert first.status_code == 200, first.text
    page = look.at("#/alerts/routes")
    page.get_by_role("button", name="Change", exact=True).click()
    assert api("PUT", ROUTES, {**tree, "route": {"receiver": "desk"}}).status_code == 200
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("admin")
    page.get_by_role("button", name="Show what they wrote").click()
    expect(page.locator(".tree").get_by_text("desk")).to_be_visible()


def test_a_schedule_is_made_tried_stood_in_for_and_removed(look: Look, api: Callable[..., httpx.Response]) -> None:
    look.allowed = ["422", "409"]
    ana, ben, name = unique("ana"), unique("ben"), unique("db")
    page = look.at("#/alerts/oncall")
    box = page.get_by_role("dialog")
    for person in (ana, ben):
        page.get_by_role("button", name="New person").click()
        box.get_by_label("Name").fill(person)
        box.get_by_label("E-mail").fill(f"{person}@example.com")
        box.get_by_role("button", name="Save").click()
        expect(page.get_by_role("table", name="People")).to_contain_text(person)
    page.get_by_role("button", name="New schedule").click()
    box.get_by_label("Name").first.fill(name)
    box.get_by_label("People, in their order").fill("nobody-knows")
    box.get_by_role("button", name="Who would be on call?").click()
    expect(box.locator(".field", has_text="People, in their order").locator(".wrong")).to_contain_text("nobody-knows")
    box.get_by_label("People, in their order").fill(f"{ana}\n{ben}")
    box.get_by_label("Hand-off at").fill("00:00")
    box.get_by_role("button", name="Who would be on call?").click()
    expect(box.locator(".calendar .week")).to_have_count(4)
    expect(box.locator(".calendar")).to_contain_text(ben)
    assert api("GET", f"/api/oncall/schedules/{name}").status_code == 404, "nothing is stored yet"
    box.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"{ana} is on call")).to_be_visible()

    page.get_by_role("button", name="Stand in").click()
    box.get_by_label("Person").select_option(ben)
    box.get_by_label("Until").fill((datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT00:00"))
    box.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"{ben} is on call")).to_be_visible()
    page.get_by_role("button", name=f"Remove: {ben}").click()
    expect(page.get_by_text(f"{ana} is on call")).to_be_visible()

    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("button", name="New chain").click()
    box.get_by_label("Name").fill(name)
    box.get_by_label("Who is told").fill("schedule nowhere")
    box.get_by_role("button", name="Save").click()
    expect(box.locator(".field", has_text="Who is told").locator(".wrong")).to_contain_text("nowhere")
    box.get_by_label("Who is told").fill(f"schedule {name}")
    box.get_by_role("button", name="Save").click()
    chains = page.get_by_role("table", name="Escalation chains")
    expect(chains).to_contain_text(f"schedule {name} → {ana}")

    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    box.get_by_role("button", name="Delete").click()
    expect(box.get_by_role("alert")).to_contain_text("chain")
    page.keyboard.press("Escape")
    assert api("DELETE", f"/api/oncall/chains/{name}").status_code == 204
    page.get_by_role("button", name="Delete", exact=True).click()
    box.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{look.up.url}/#/alerts/oncall")
    expect(page.get_by_role("table", name="People")).to_contain_text(ana)
    for person in (ana, ben):
        api("DELETE", f"/api/oncall/people/{person}")


def test_who_may_only_read_changes_nothing(look: Look, user: Callable[..., str]) -> None:
    page = look.at("#/about")
    look.log_in(page, user("READONLY"))
    page.goto(f"{look.up.url}/#/alerts/oncall")
    live(page)
    expect(page.get_by_role("button", name="New")).to_have_count(0)
    expect(page.get_by_role("heading", name="People")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "size"), [("light", "desktop"), ("dark", "phone")])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, api: Callable[..., httpx.Response], violations: Callable[[Page], list[str]], scheme: str, size: str
) -> None:
    person, name = unique("eve"), unique("desk")
    api("PUT", f"/api/oncall/people/{person}", {"email": "eve@example.com"})
    days = {"weekdays": ["monday", "tuesday"], "from": "09:00", "to": "17:00"}
    layer = {"name": "days", "people": [person], "start": "2026-01-05", "restrictions": [days]}
    made = api("PUT", f"/api/oncall/schedules/{name}", {"timezone": "Europe/Paris", "layers": [layer]})
    assert made.status_code == 200, made.text
    below = {"matchers": ['team="db"'], "receiver": "ops"}
    api("PUT", ROUTES, {"route": {"receiver": "ops", "routes": [below]}, "receivers": {"ops": {}}})
    width = SIZES[size]["width"]
    page = look.at(f"#/alerts/oncall/{name}", color_scheme=scheme, viewport=SIZES[size])

    def passes(where: str) -> None:
        live(page)
        assert violations(page) == [], where
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where

    expect(page.locator(".calendar .week")).to_have_count(4)
    passes("a schedule")
    page.get_by_role("button", name="Change").click()
    page.get_by_role("dialog").get_by_role("button", name="Who would be on call?").click()
    expect(page.locator("dialog .calendar")).to_be_visible()
    passes("a schedule that is changed")
    page.keyboard.press("Escape")
    page.goto(f"{look.up.url}/#/alerts/routes")
    page.get_by_role("button", name="Change", exact=True).click()
    passes("routes that are changed")
    page.get_by_role("button", name="Change: {team").click()
    passes("a route")
    api("DELETE", f"/api/oncall/schedules/{name}")
    api("DELETE", f"/api/oncall/people/{person}")
