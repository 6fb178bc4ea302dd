"""A browser that looks at a `vigie up` with simulated traffic, and minds everything that should not happen.

Every context fails its test when the page writes to the console, throws, or asks another origin for anything.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.up import Up
from tests.kit import unique

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
AXE: Final = Path(__file__).parent / "vendor" / "axe.min.js"
WAIT_MS: Final = 30_000
"""Of every expectation: a slow machine takes its time."""
TRAFFIC_S: Final = 180.0
PASSWORD: Final = "violet-kettle-marches-north"

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without one these tests are skipped."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def up(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`vigie up` with its simulator: an hour of bookings, targets, alerts. After the browser, which may be missing."""
    directory = tmp_path_factory.mktemp("dashboard")
    one = Up(directory, demo=True)
    try:
        one.start()
        _wait_for_traffic(one.url)
        yield one
    finally:
        one.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_traffic(url: str) -> None:
    """Until the simulator has filled in the past hour and sends what happens now."""
    end = time.monotonic() + TRAFFIC_S
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        while not http.get("/api/dashboard/realtime").json().get("bookingsPerMinute"):
            assert time.monotonic() < end, "the simulator sends nothing"
            time.sleep(0.5)


@pytest.fixture(scope="package")
def root(up: Up) -> Iterator[httpx.Client]:
    """The administrator of the platform, over HTTP."""
    with httpx.Client(base_url=up.url, timeout=30, trust_env=False) as http:
        body = {"username": "admin", "password": up.admin_password()}
        login = http.post("/auth/login", json=body)
        assert login.status_code == 200, login.text
        http.headers["authorization"] = f"Bearer {login.json()['accessToken']}"
        http.root_password = body["password"]  # type: ignore[attr-defined]
        yield http


@pytest.fixture(scope="package")
def user(root: httpx.Client) -> Callable[..., str]:
    """Makes a user of the tenant `default` with a role; gives the name. The password is PASSWORD."""

    def make(role: str, **more: Any) -> str:
        name = unique(role.lower())
        body = {"name": name, "password": PASSWORD, "role": role, **more}
        answer = root.post("/admin/tenants/default/users", json=body)
        assert answer.status_code == 201, answer.text
        return name

    return make


@dataclass
class Look:
    """Opens pages, and has what went wrong in them; `allowed` are parts of console messages that a test provokes."""

    browser: Browser
    up: Up
    wrong: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    below: str = ""
    """Where the dashboard is instead, behind a proxy."""

    @property
    def url(self) -> str:
        """Below it everything is."""
        return self.below or self.up.url

    def context(self, **options: Any) -> BrowserContext:
        """A browser of its own, with nothing remembered."""
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce", **options}
        made = self.browser.new_context(**options)
        made.set_default_timeout(WAIT_MS)
        made.on("console", lambda message: self._note(f"console {message.type}: {message.text}"))
        made.on("weberror", lambda error: self._note(f"error: {error.error}"))
        made.on("request", lambda request: self._check_origin(request.url))
        self.contexts.append(made)
        return made

    def at(self, address: str = "", context: BrowserContext | None = None, **options: Any) -> Page:
        """A page at an address of the app, such as `#/overview`."""
        page = (context or self.context(**options)).new_page()
        page.on("websocket", lambda socket: self._check_origin(socket.url.replace("ws://", "http://", 1)))
        page.goto(f"{self.url}/{address}")
        return page

    def log_in(self, page: Page, name: str, password: str = PASSWORD, tenant: str = "default") -> None:
        """By the form, as somebody would."""
        page.get_by_role("button", name="Log in").first.click()
        box = page.get_by_role("dialog")
        box.get_by_label("Name").fill(name)
        box.get_by_label("Password").fill(password)
        box.get_by_label("Tenant of the account").fill(tenant)
        box.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("button", name="Log out")).to_be_attached()

    def _check_origin(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:", "blob:")):
            self.wrong.append(f"a request left the origin: {url}")

    def _note(self, text: str) -> None:
        if not any(one in text for one in self.allowed):
            self.wrong.append(text)


@pytest.fixture
def look(chromium: Browser, up: Up) -> Iterator[Look]:
    """What a test looks with."""
    one = Look(chromium, up)
    yield one
    for context in one.contexts:
        context.close()
    assert not one.wrong, "\n".join(one.wrong)


@pytest.fixture(scope="package")
def violations() -> Callable[[Page], list[str]]:
    """What axe-core finds wrong with a page for those who see, hear or move otherwise."""
    source = AXE.read_text(encoding="utf-8")

    def find(page: Page) -> list[str]:
        if not page.evaluate("() => 'axe' in window"):
            page.evaluate(source)
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    return find
