"""Hosts and sites: the panels of administrators and of the people of a site, live, with actions that are followed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx2 as httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit import unique

from .conftest import Look
from .machines import HOSTILE, Machine
from .test_administration import as_root
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def machine(root: httpx.Client) -> Machine:
    """With an hour of reports, which many tests only look at."""
    one = Machine(root)
    one.add_site()
    one.history()
    return one


@pytest.fixture
def shaken(root: httpx.Client) -> Iterator[Machine]:
    """Of one test, which changes it."""
    one = Machine(root)
    one.add_site()
    one.report()
    yield one
    root.request("DELETE", "/stats/config", params={"host": one.host}, headers={"x-scope-orgid": "default"})


def tabs(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Hosts and sites").get_by_role("link")


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.get_by_role("heading", name=name, exact=True))


def as_user(look: Look, address: str, name: str, **options: object) -> Page:
    """Somebody of the tenant `default` at an address."""
    page = look.at("#/about", **options)
    expect(page.locator(".bar")).to_be_visible()
    look.log_in(page, name)
    page.goto(f"{look.up.url}/{address}")
    live(page)
    return page


def test_a_host_is_followed_live_and_hostile_names_are_text(look: Look, machine: Machine) -> None:
    machine.report(cpu=42.5)
    page = look.at("#/hosts")
    live(page)
    page.get_by_role("link", name=machine.host).click()
    expect(page).to_have_url(f"{look.up.url}/#/hosts?host={machine.host}")
    expect(tile(page, "CPU")).to_contain_text("42.5 %")
    expect(tile(page, "Memory")).to_contain_text("of 16.0 GB")
    expect(page.locator(".head")).to_contain_text(f"CPU {HOSTILE}")
    expect(page.locator("main canvas")).to_have_count(10)  # five tiles, five charts
    expect(page.locator(".volume", has_text=f"eth0{HOSTILE}")).to_contain_text("1 error")
    machine.report(cpu=77.7)
    expect(tile(page, "CPU")).to_contain_text("77.7 %", timeout=10_000)  # before the next refresh
    assert page.locator("main img").count() == 0
    page.get_by_label("Refresh").select_option("5")
    page.get_by_role("button", name="30 min").click()
    expect(page).to_have_url(f"{look.up.url}/#/hosts?host={machine.host}&refresh=5&range=30m")
    expect(page.get_by_role("combobox", name="Range")).to_have_value("30m")
    live(page)


def test_a_host_that_fell_silent_is_said_and_comes_first(look: Look, root: httpx.Client, machine: Machine) -> None:
    silent = Machine(root)
    silent.history(minutes=30, until_minutes=10)
    machine.report()
    page = look.at("#/hosts")
    live(page)
    row = page.locator(".host", has_text=silent.host)
    expect(row).to_contain_text("silent")
    expect(page.locator(".host", has_text=machine.host)).to_contain_text("reporting")
    expect(page.locator(".host").first).to_contain_text("silent")
    page.get_by_label("Host", exact=True).select_option(silent.host)
    expect(page.locator(".head")).to_contain_text("no report since")
    silent.report()
    expect(page.locator(".head .badge")).to_have_text("reporting")


def test_a_service_is_stopped_after_a_question_and_the_result_is_shown(
    look: Look, shaken: Machine, user: Callable[..., str]
) -> None:
    page = as_user(look, "#/hosts", user("USER", sites=[shaken.site]))
    row = page.get_by_role("row", name=shaken.api)
    expect(row).to_contain_text("4242")
    expect(row).to_contain_text("123 MB")
    expect(row).to_contain_text("1 d 2 h")
    box = page.get_by_role("dialog")
    with shaken.obeying(look.up.url) as asked:
        row.get_by_role("button", name=f"Stop: {shaken.api}").click()
        box.get_by_role("button", name="Cancel").click()
        assert asked == []
        row.get_by_role("button", name=f"Stop: {shaken.api}").click()
        box.get_by_role("button", name="Stop").click()
        expect(box.locator(".badge")).to_have_text("done")
        assert [one["action"] for one in asked] == ["stop"]
        page.keyboard.press("Escape")
        shaken.report()
        expect(row).to_contain_text("inactive", timeout=10_000)
        expect(row.get_by_role("button")).to_have_text(["Start"])
    with shaken.obeying(look.up.url, "refused", f"not on this machine {HOSTILE}"):
        row.get_by_role("button", name=f"Start: {shaken.api}").click()
        box.get_by_role("button", name="Start").click()
        expect(box.locator(".badge")).to_have_text("refused")
        expect(box).to_contain_text(f"not on this machine {HOSTILE}")


def test_a_site_is_added_changed_given_to_somebody_and_removed(
    look: Look, shaken: Machine, user: Callable[..., str]
) -> None:
    look.allowed = ["422", "409"]
    reader = user("READONLY")
    page = as_user(look, f"#/hosts/sites?host={shaken.host}", user("ADMIN"))
    page.get_by_role("button", name="Add a site").click()
    box, site = page.get_by_role("dialog"), unique("blog")
    box.get_by_label("Id").fill(site)
    box.get_by_label("Unix account").fill("shop")
    box.get_by_label("Directory").fill("/")
    box.get_by_label("Ports").fill("80-70")
    box.get_by_role("button", name="Add a site").click()
    expect(box.get_by_label("Directory")).to_have_attribute("aria-invalid", "true")
    expect(box.get_by_label("Ports")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("Directory").fill("/var/www/sites/blog")
    box.get_by_label("Ports").fill("4000-4009\n5000")
    box.get_by_role("button", name="Add a site").click()
    expect(box.get_by_role("alert")).to_contain_text("shop is that of the site")
    box.get_by_label("Unix account").fill("blog")
    box.get_by_role("button", name="Add a site").click()
    row = page.locator(".site", has_text=site)
    expect(row).to_contain_text("not reported yet")
    row.get_by_role("button", name=site).click()
    expect(page).to_have_url(f"{look.up.url}/#/hosts/sites?host={shaken.host}&open={site}")
    expect(row).to_contain_text("4000-4009, 5000")
    row.get_by_role("button", name="People").click()
    box.get_by_label("Search people").fill(reader)
    box.get_by_label(reader).click()
    expect(page.get_by_text(f"{reader} sees {site} now.")).to_be_visible()
    expect(box.get_by_label(reader)).to_be_checked()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Change").click()
    box.get_by_label("Name").fill("The blog")
    box.get_by_label("Memory limit, MB").fill("512")
    box.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("The blog")
    other = as_user(look, "#/hosts", reader)
    expect(other.get_by_role("heading", name="The blog", level=2)).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    box.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_the_configuration_says_what_the_api_says(look: Look, shaken: Machine, user: Callable[..., str]) -> None:
    look.allowed = ["422"]
    page = as_user(look, f"#/hosts/settings?host={shaken.host}", user("ADMIN"))
    expect(page.get_by_text("goes by what holds for all hosts")).to_be_visible()
    cpu = page.get_by_role("group", name="CPU")
    cpu.get_by_label("Warning from").fill("95")
    page.get_by_role("button", name="Save").click()
    expect(cpu).to_contain_text("warning must be below critical")
    cpu.get_by_label("Warning from").fill("50")
    page.get_by_label("Collection interval").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Collection interval")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Collection interval").fill("20")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("has a configuration of its own")).to_be_visible()
    expect(cpu.get_by_label("Warning from")).to_have_value("50")
    page.get_by_role("button", name="Go by that of all hosts").click()
    expect(page.get_by_text("goes by what holds for all hosts")).to_be_visible()
    expect(cpu.get_by_label("Warning from")).to_have_value("70")


def test_an_alert_of_a_site_is_seen_acknowledged_and_resolved(
    look: Look, shaken: Machine, user: Callable[..., str]
) -> None:
    page = as_user(look, "#/hosts", user("USER", sites=[shaken.site]))
    shaken.state = "failed"
    shaken.report()
    row = page.locator(".alert", has_text="service_down")
    expect(row).to_contain_text("error")
    expect(row.get_by_role("button", name="Resolve service_down")).to_have_count(0)
    row.get_by_role("button", name="Acknowledge service_down").click()
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("acknowledged")
    admin = as_user(look, f"#/hosts/alerts?host={shaken.host}", user("ADMIN"))
    row = admin.get_by_role("row", name="service_down")
    expect(row).to_contain_text("acknowledged")
    row.get_by_role("button", name="Resolve service_down").click()
    expect(row).to_have_count(0)
    admin.get_by_label("State").select_option("resolved")
    expect(admin.get_by_role("row", name="service_down")).to_contain_text("resolved")


def test_each_role_sees_its_panel(look: Look, machine: Machine, user: Callable[..., str]) -> None:
    look.allowed = ["404"]
    page = as_user(look, "#/hosts", user("USER"))
    expect(page.get_by_text("No site is assigned to you.")).to_be_visible()
    page.goto(f"{look.up.url}/#/hosts?site={machine.site}")
    expect(page.get_by_text("No site is assigned to you.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    look.log_in(page, user("READONLY", sites=[machine.site]))
    expect(page.get_by_role("heading", name=machine.site, level=2)).to_be_visible()
    expect(page.get_by_role("table", name="Services")).to_contain_text(machine.api)
    expect(page.get_by_role("button", name=f"Restart: {machine.api}")).to_have_count(0)
    expect(tabs(page)).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    look.log_in(page, user("ADMIN"))
    expect(tabs(page)).to_have_text([re.compile(one) for one in ("Overview", "Sites", "Alerts", "Configuration")])


def test_support_looks_and_changes_nothing(look: Look, root: httpx.Client, machine: Machine) -> None:
    name = unique("support")
    made = root.post("/admin/users", json={"name": name, "password": "violet-kettle-marches-north", "role": "SUPPORT"})
    assert made.status_code == 201, made.text
    page = look.at("#/about")
    look.log_in(page, name, tenant="")
    page.goto(f"{look.up.url}/#/hosts/sites?tenant=default&open={machine.site}")
    live(page)
    expect(page.get_by_role("table", name=f"Services of {HOSTILE} {machine.site}")).to_contain_text("4242")
    for action in ("Add a site", "Change", "Delete", f"Restart: {machine.api}"):
        expect(page.get_by_role("button", name=action)).to_have_count(0)
    page.goto(f"{look.up.url}/#/hosts/settings?tenant=default")
    expect(page.get_by_label("Collection interval")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_nothing_is_asked_while_nobody_looks(look: Look, machine: Machine) -> None:
    page = look.at(f"#/hosts?host={machine.host}&refresh=5")
    live(page)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".live")).to_have_text("Paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_000)
    assert asked == []
    page.evaluate("delete document.hidden")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    live(page)


def test_losing_the_connection_keeps_what_was_known(look: Look, machine: Machine) -> None:
    look.allowed = ["ERR_INTERNET_DISCONNECTED", "WebSocket"]
    page = look.at(f"#/hosts?host={machine.host}&refresh=5")
    live(page)
    page.context.set_offline(True)
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    expect(page.get_by_text("This is not the newest").first).to_be_visible()
    expect(tile(page, "Memory")).to_contain_text("of 16.0 GB")
    page.context.set_offline(False)
    live(page)
    expect(page.get_by_text("This is not the newest")).to_have_count(0)


def test_sites_open_by_keyboard(look: Look, machine: Machine) -> None:
    page = look.at("#/hosts/sites")
    live(page)
    button = page.get_by_role("button", name=machine.site).first
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".site .inside")).to_contain_text("3000-3009")
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("way", [("light", "desktop"), ("dark", "phone")], ids="-".join)
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, root: httpx.Client, machine: Machine, violations: Callable[[Page], list[str]], way: tuple[str, str]
) -> None:
    scheme, size = way
    page = as_root(look, root, "#/hosts?tenant=default", color_scheme=scheme, viewport=SIZES[size])

    def fine(where: str) -> None:
        assert violations(page) == [], where
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], where

    for address in ("", f"?host={machine.host}", f"/sites?open={machine.site}", "/alerts?state=all", "/settings"):
        query = "&tenant=default" if "?" in address else "?tenant=default"
        page.goto(f"{look.up.url}/#/hosts{address}{query}")
        live(page)
        fine(address)
    if size == "desktop":
        return
    page.goto(f"{look.up.url}/#/hosts/sites?open={machine.site}&tenant=default")
    for button in ("Add a site", "People", f"Restart: {machine.api}"):
        page.get_by_role("button", name=button).first.click()
        fine(button)
        page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_people_of_a_site_see_it_on_a_phone(
    look: Look, machine: Machine, user: Callable[..., str], violations: Callable[[Page], list[str]], scheme: str
) -> None:
    page = as_user(look, "#/hosts", user("USER", sites=[machine.site]), color_scheme=scheme)
    expect(page.get_by_role("table", name="Services")).to_be_visible()
    page.set_viewport_size(SIZES["phone"])
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
