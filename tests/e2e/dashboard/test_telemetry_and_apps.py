"""Telemetry of nodes and metrics of apps, as they come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from tests.kit import unique

from .conftest import Look
from .test_administration import as_root
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def tenant(root: httpx.Client) -> str:
    """A new one, whose node has reported nothing."""
    name = unique("school")
    made = root.post("/admin/tenants", json={"id": name, "name": f"School {name}"})
    assert made.status_code == 201, made.text
    return name


def report(root: httpx.Client, tenant: str, users: int, version: str = "2.1.0") -> None:
    """What a node says of itself."""
    numbers = {"uptime": 86_400, "activeUsers": users, "exercisesCompletedToday": 7, "aiLatency": 120.5}
    more = {"version": version, "additionalData": {"hostile": "<img src=x onerror=alert(1)>"}}
    answer = root.post("/telemetry", json={"tenantId": tenant, **numbers, **more})
    assert answer.status_code < 300, answer.text


def said(root: httpx.Client, app: str, usage: float) -> None:
    """What an app says of itself."""
    metrics = {"cpu": {"usage": usage, "system": 2, "user": 3}, "memory": {"used": 5e8, "total": 1e9}, "queue": 12}
    body = {"userId": "<b>user-1</b>", "metrics": metrics, "timestamp": stamp()}
    answer = root.post(f"/api/apps/{app}/metrics", json=body, headers={"x-scope-orgid": "default"})
    assert answer.status_code < 300, answer.text


def test_a_node_is_seen_from_its_first_report_on(look: Look, root: httpx.Client, tenant: str) -> None:
    look.allowed = ["404"]
    page = as_root(look, root, f"#/telemetry/tenant?tenant={tenant}")
    expect(page.get_by_text("the tenant has not sent any telemetry yet")).to_be_visible()
    report(root, tenant, 42)
    expect(page.locator(".tile", has_text="Active users")).to_contain_text("42")
    expect(page.locator(".tile", has_text="Version")).to_contain_text("2.1.0")
    table = page.get_by_role("table", name="Reports")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0
    report(root, tenant, 43)
    expect(page.locator(".tile", has_text="Active users")).to_contain_text("43")
    expect(page.locator("main canvas")).to_have_count(2)
    page.get_by_role("link", name="All tenants").click()
    expect(page.get_by_role("table", name="Versions")).to_contain_text("2.1.0")
    page.get_by_role("link", name=tenant, exact=True).click()
    expect(page.locator(".tile", has_text="Active users")).to_contain_text("43")


def test_who_looks_after_one_tenant_sees_no_telemetry(look: Look, user: Callable[..., str]) -> None:
    page = look.at("#/telemetry")
    expect(page.get_by_text("This page needs the permission platform.read")).to_be_visible()
    look.log_in(page, user("ADMIN"))
    expect(page.get_by_text("This page needs the permission platform.read")).to_be_visible()
    expect(page.get_by_role("link", name="Telemetry")).to_have_count(0)


def test_an_app_is_followed_live(look: Look, root: httpx.Client) -> None:
    app = unique("shop")
    said(root, app, 42.5)
    page = look.at("#/apps")
    live(page)
    page.get_by_role("link", name=app).click()
    tile = page.locator(".tile", has_text="cpu.usage")
    expect(tile).to_contain_text("42.5 %")
    expect(page.locator(".tile", has_text="memory.used")).to_contain_text("500 MB")
    said(root, app, 77.7)
    expect(tile).to_contain_text("77.7 %")
    expect(page.locator("main canvas")).to_have_count(3)
    page.get_by_role("button", name="Load anew").click()
    table = page.get_by_role("table", name="Reports")
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table).to_contain_text("<b>user-1</b>")


def test_users_see_the_apps_that_they_are_assigned_to(look: Look, root: httpx.Client, user: Callable[..., str]) -> None:
    mine, other = unique("mine"), unique("other")
    said(root, mine, 1)
    said(root, other, 1)
    page = look.at("#/apps")
    live(page)
    look.log_in(page, user("USER", apps=[mine]))
    expect(page.get_by_role("link", name=mine)).to_be_visible()
    expect(page.get_by_role("link", name=other)).to_have_count(0)
    look.allowed = ["404"]
    page.goto(f"{look.up.url}/#/apps/{other}")
    expect(page.get_by_role("alert").first).to_be_visible()


@pytest.mark.parametrize("way", [("light", "desktop"), ("dark", "phone")], ids="-".join)
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, root: httpx.Client, tenant: str, violations: Callable[[Page], list[str]], way: tuple[str, str]
) -> None:
    scheme, size = way
    app = unique("desk")
    said(root, app, 12)
    report(root, tenant, 5)
    page = as_root(look, root, "#/telemetry", color_scheme=scheme, viewport=SIZES[size])
    for address in (
        "telemetry",
        f"telemetry/tenant?tenant={tenant}",
        "apps?tenant=default",
        f"apps/{app}?tenant=default",
    ):
        page.goto(f"{look.up.url}/#/{address}")
        live(page)
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], address
