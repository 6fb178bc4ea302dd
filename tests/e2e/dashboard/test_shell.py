"""The dashboard's shell and its first page, as people use them."""

from __future__ import annotations

from collections.abc import Callable

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from tests.kit import unique

from .conftest import Look

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

NONE = "\N{EN DASH}"
"""What stands where there is no number."""
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}


def live(page: Page) -> None:
    expect(page.locator(".live")).to_have_text("Live")
    expect(page.locator(".loading")).to_have_count(0)


def test_overview_shows_what_the_api_says_and_follows_it(look: Look) -> None:
    page = look.at()
    live(page)
    expect(page.get_by_text("You are not logged in")).to_be_visible()
    tiles = page.locator(".tile .value")
    expect(tiles).to_have_count(5)
    for n in range(5):
        expect(tiles.nth(n)).not_to_contain_text(NONE)
    before = tiles.all_inner_texts()
    expect(page.locator(".service").first).to_be_visible()
    changed = "old => [...document.querySelectorAll('.tile .value')].some((one, n) => one.innerText !== old[n])"
    page.wait_for_function(changed, arg=before)
    expect(page.locator("canvas")).to_have_count(8)


def test_an_alert_is_seen_acknowledged_and_over_without_a_reload(look: Look, root: httpx.Client) -> None:
    page = look.at()
    live(page)
    name = unique("live").replace("-", "_")
    rule = {"name": name, "metricName": name, "condition": ">", "threshold": 10, "severity": "critical"}
    made = root.post("/api/alerts/rules", json=rule, headers={"x-scope-orgid": "default"})
    assert made.status_code == 201, made.text
    sample = {"name": name, "type": "gauge", "value": 11}
    with httpx.Client(base_url=look.up.url, timeout=30, trust_env=False) as sender:
        assert sender.post("/api/metrics/custom", json=sample).status_code == 201
    alert = page.locator(".firing .alert", has_text=name)
    expect(alert).to_contain_text("critical")
    alert.get_by_role("button", name=f"Acknowledge {name}").click()
    expect(alert).to_contain_text("has anonymous")
    expect(page.get_by_text(f"{name} is yours now.")).to_be_visible()
    root.delete(f"/api/alerts/rules/{made.json()['id']}", headers={"x-scope-orgid": "default"})
    expect(alert).to_have_count(0)
    expect(page.locator(".feed li", has_text=name).filter(has_text="is over")).to_be_visible()


def test_a_session_outlives_a_reload_and_ends_by_logout(look: Look, user: Callable[..., str]) -> None:
    name = user("READONLY")
    page = look.at()
    live(page)
    look.log_in(page, name)
    [cookie] = page.context.cookies(f"{look.up.url}/auth/session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/auth")
    kept = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert "vr_" not in kept
    assert "eyJ" not in kept
    page.reload()
    expect(page.locator(".who")).to_contain_text(name)
    live(page)
    expect(page.get_by_text("You are not logged in")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are not logged in")).to_be_visible()
    assert page.context.cookies(f"{look.up.url}/auth/session") == []
    live(page)


def test_a_session_that_ended_is_said_and_nobody_becomes_anonymous(look: Look, user: Callable[..., str]) -> None:
    look.allowed = ["401", "409"]
    name = user("USER")
    context = look.context()
    page = look.at(context=context)
    live(page)
    look.log_in(page, name)
    context.clear_cookies()
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    page.reload()  # also the second time
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    page.get_by_role("button", name="Go on without a login").click()
    expect(page.get_by_text("You are not logged in")).to_be_visible()


def test_a_wrong_password_is_told_and_nothing_is_lost(look: Look) -> None:
    look.allowed = ["401"]
    page = look.at("#/overview?range=6h")
    live(page)
    page.get_by_role("button", name="Log in").first.click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill("admin")
    box.get_by_label("Password").fill("wrong horse battery")
    box.get_by_role("button", name="Log in").click()
    expect(box.get_by_role("alert")).to_contain_text("the name or the password is not right")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(page.get_by_label("Range")).to_have_value("6h")


def test_range_zone_language_and_colours_are_in_the_address_or_remembered(look: Look) -> None:
    page = look.at()
    live(page)
    page.get_by_label("Range").select_option("6h")
    expect(page).to_have_url(f"{look.up.url}/#/overview?range=6h")
    page.get_by_text("Settings").click()
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    expect(page).to_have_url(f"{look.up.url}/#/overview?range=6h&tz=Asia%2FTokyo")
    page.get_by_label("Colours").select_option("dark")
    page.get_by_label("Language").select_option("fr")
    expect(page.get_by_role("heading", level=1)).to_have_text("Vue d'ensemble")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Vue d'ensemble")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.lang") == "fr"
    page.go_back()
    expect(page).to_have_url(f"{look.up.url}/")


def test_keyboard_reaches_the_content_and_the_pages(look: Look) -> None:
    page = look.at()
    live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="About").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("About")
    expect(page).to_have_title("About | Vigie")
    expect(page.locator("main")).to_be_focused()


def test_losing_the_connection_is_said_and_mended(look: Look) -> None:
    look.allowed = ["ERR_INTERNET_DISCONNECTED", "WebSocket"]
    page = look.at()
    live(page)
    page.context.set_offline(True)
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    page.context.set_offline(False)
    live(page)
    expect(page.get_by_text("The connection is lost")).to_have_count(0)


def test_an_unknown_page_says_where_to_go(look: Look) -> None:
    page = look.at("#/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.locator("main").get_by_role("link", name="Overview").click()
    live(page)


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["#/overview", "#/about"])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, violations: Callable[[Page], list[str]], address: str, scheme: str, size: str
) -> None:
    page = look.at(address, color_scheme=scheme, viewport=SIZES[size])
    live(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    page.get_by_role("button", name="Log in" if size == "desktop" else "More").first.click()
    assert violations(page) == []


def test_first_page_is_small(look: Look) -> None:
    page = look.at()
    live(page)
    loaded = "performance.getEntriesByType('resource').filter(one => one.name.includes('/assets/'))"
    size = page.evaluate(f"{loaded}.reduce((sum, one) => sum + one.encodedBodySize, 0)")
    assert 40_000 < size <= 150_000
