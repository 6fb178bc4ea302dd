"""The health page: targets are added, seen red without a reload, changed, switched off and deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.kit import unique

from .conftest import Look
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]


class Site:
    """A web site that is well or not."""

    def __init__(self) -> None:
        self.status = 200
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(site.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the test's output is no place for it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    thread = threading.Thread(target=one.server.serve_forever, daemon=True)
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


@contextmanager
def added(page: Page, name: str, url: str) -> Iterator[None]:
    """By the form; afterwards it is open on the page of the new target."""
    page.get_by_role("button", name="Add a target").first.click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name", exact=False).first.fill(name)
    box.get_by_label("URL").fill(url)
    box.get_by_label("Interval").fill("1s")
    box.get_by_label("Time-out").fill("500")
    yield
    box.get_by_role("button", name="Add a target").click()
    expect(page.get_by_role("heading", level=2, name=name)).to_be_visible()


def state(page: Page, text: str) -> None:
    expect(page.locator(".head .badge").first).to_have_text(text)


def test_a_target_is_added_turns_red_and_is_well_again_without_a_reload(look: Look, site: Site) -> None:
    page = look.at("#/health")
    live(page)
    name = unique("shop")
    with added(page, name, site.url):
        page.get_by_label("On the public status page").check()
    state(page, "up")
    site.status = 500
    state(page, "down")
    expect(page.locator(".head .reason")).to_contain_text("500")
    incidents = page.get_by_role("table", name="Incidents")
    expect(incidents.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="Targets").click()
    row = page.locator(".target", has_text=name)
    expect(row).to_contain_text("down")
    expect(page.locator(".target").first).to_contain_text("down")
    expect(page.get_by_role("link", name="Status page")).to_have_attribute("href", "status/default")
    site.status = 200
    expect(row.locator(".badge")).to_have_text("up")
    row.get_by_role("button", name=f"Check now: {name}").click()
    expect(page.get_by_text(f"{name} is up.")).to_be_visible()


def test_a_target_is_changed_switched_off_and_deleted_after_a_question(look: Look, site: Site) -> None:
    page = look.at("#/health")
    live(page)
    name = unique("changed")
    with added(page, name, site.url):
        pass
    state(page, "up")
    page.get_by_role("button", name="Change").click()
    box = page.get_by_role("dialog")
    box.get_by_text("What the answer must be").click()
    box.get_by_label("Statuses").fill("404")
    box.get_by_role("button", name="Save").click()
    state(page, "down")
    page.get_by_role("button", name="Switch off").click()
    state(page, "switched off")
    expect(page.get_by_role("button", name="Check now")).to_be_disabled()
    page.get_by_role("button", name="Switch on").click()
    state(page, "down")
    page.get_by_role("button", name="Delete").click()
    box = page.get_by_role("dialog")
    box.get_by_role("button", name="Cancel").click()
    expect(box).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{look.up.url}/#/health")
    expect(page.get_by_text(f"{name} is deleted.")).to_be_visible()
    expect(page.locator(".target", has_text=name)).to_have_count(0)


def test_what_the_api_refuses_stands_at_its_field(look: Look) -> None:
    look.allowed = ["422"]
    page = look.at("#/health")
    live(page)
    page.get_by_role("button", name="Add a target").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name", exact=False).first.fill(unique("wrong"))
    box.get_by_label("URL").fill("ftp://files.example.com")
    box.get_by_label("Retries").fill("3")
    box.get_by_text("What the answer must be").click()
    box.get_by_label("Must be found in the answer").fill("(unclosed")
    box.get_by_text("What the answer must be").click()
    box.get_by_role("button", name="Add a target").click()
    expect(box.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("URL").fill("http://127.0.0.1:9/")
    box.get_by_role("button", name="Add a target").click()
    expressions = box.get_by_label("Must be found in the answer")
    expect(expressions).to_have_attribute("aria-invalid", "true")
    expect(expressions).to_be_visible()  # its part has opened
    expect(box.get_by_label("URL")).not_to_have_attribute("aria-invalid", "true")


def test_a_heartbeat_shows_its_address_once(look: Look, violations: Callable[[Page], list[str]]) -> None:
    page = look.at("#/health")
    live(page)
    name = unique("backup")
    page.get_by_role("button", name="Add a target").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name", exact=False).first.fill(name)
    box.get_by_label("Asked by").select_option("heartbeat")
    expect(box.get_by_label("URL")).to_have_count(0)
    box.get_by_label("Must be heard of every").fill("10s")
    box.get_by_label("May be late by").fill("5s")
    box.get_by_role("button", name="Add a target").click()
    address = page.get_by_label("Address of the heartbeat").last.input_value()
    assert violations(page) == []
    answer = page.request.post(address)
    assert answer.ok
    page.get_by_role("button", name="I have kept it").click()
    state(page, "up")
    expect(page.get_by_text(address)).to_have_count(0)


def test_names_are_text_whatever_they_contain(look: Look, site: Site) -> None:
    page = look.at("#/health")
    live(page)
    name = f'<img src=x onerror="alert(1)"> {{}} "a/b%2F" {unique("x")}'
    with added(page, name, site.url):
        pass
    state(page, "up")
    expect(page.get_by_role("table", name="Checks").get_by_role("row").nth(1)).to_be_visible()
    expect(page.locator("main canvas").first).to_be_visible()
    assert page.locator("main img").count() == 0
    page.get_by_role("link", name="Targets").click()
    page.get_by_role("link", name=name).click()
    state(page, "up")


def test_what_one_may_not_do_is_not_shown(look: Look, user: Callable[..., str]) -> None:
    page = look.at("#/health")
    live(page)
    look.log_in(page, user("READONLY"))
    expect(page.get_by_text("No targets are watched yet.")).to_be_visible()  # none is of a site of theirs
    expect(page.get_by_role("button", name="Add a target")).to_have_count(0)


def test_filters_are_in_the_address(look: Look) -> None:
    page = look.at("#/health?q=KAFKA&window=7d")
    live(page)
    expect(page.locator(".target")).to_have_count(1)
    expect(page.locator(".target .ticks span")).to_have_count(56)
    page.get_by_label("Search").fill("there is none like that")
    expect(page.get_by_text("No target is like that.")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_label("Group").select_option("vigie")
    page.get_by_label("State").select_option("up")
    expect(page.locator(".target", has_text="vigie-redis")).to_be_visible()
    expect(page.locator(".target", has_text="hotel-booking")).to_have_count(0)
    expect(page).to_have_url(f"{look.up.url}/#/health?window=7d&group=vigie&state=up")


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["#/health", "#/health/vigie-kafka"])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, violations: Callable[[Page], list[str]], address: str, scheme: str, size: str
) -> None:
    page = look.at(address, color_scheme=scheme, viewport=SIZES[size], locale="fr-FR")
    expect(page.locator(".live")).to_have_text("En direct")
    expect(page.locator(".loading")).to_have_count(0)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    page.get_by_role("button", name="Modifier" if "kafka" in address else "Ajouter une cible").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
