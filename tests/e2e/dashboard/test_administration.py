"""Administration: tenants, users and keys are made and removed, and stand in the audit log; each role sees its part."""

from __future__ import annotations

from collections.abc import Callable

import httpx2 as httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit import unique

from .conftest import PASSWORD, Look
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]


def tabs(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Administration").get_by_role("link")


def as_root(look: Look, root: httpx.Client, address: str, **options: object) -> Page:
    """The administrator of the platform at an address, looking at the tenant `default`."""
    page = look.at("#/about", **options)
    expect(page.locator(".bar")).to_be_visible()
    phone = page.get_by_role("button", name="More")
    if phone.is_visible():
        phone.click()
    look.log_in(page, "admin", root.root_password, "")  # type: ignore[attr-defined]
    page.goto(f"{look.up.url}/{address}")
    live(page)
    return page


def test_a_user_is_made_changed_and_removed(look: Look, user: Callable[..., str]) -> None:
    look.allowed = ["422"]
    page = look.at("#/administration/users")
    live(page)
    look.log_in(page, user("ADMIN"))
    page.goto(f"{look.up.url}/#/administration/users")
    name = unique("alice")
    page.get_by_role("button", name="Add a user").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill(name)
    box.get_by_label("Password").fill("passwordpassword")
    box.get_by_label("Role").select_option("USER")
    box.get_by_label("Apps").fill("shop\ndesk")
    box.get_by_role("button", name="Add a user").click()
    expect(box.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("Password").fill(PASSWORD)
    box.get_by_role("button", name="Add a user").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("desk, shop")
    row.get_by_role("button", name=f"Change: {name}").click()
    box.get_by_label("Role").select_option("READONLY")
    box.get_by_label("May log in").uncheck()
    box.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("READONLY")
    expect(row).to_contain_text("switched off")
    row.get_by_role("button", name=f"Delete: {name}").click()
    box.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    tabs(page).get_by_text("Audit log").click()
    page.get_by_label("Search in what is loaded").fill(f"{name} user.created")
    expect(page.get_by_role("table", name="Audit log").get_by_role("row")).to_have_count(2)


def test_a_key_is_shown_once_works_and_is_revoked(look: Look, user: Callable[..., str]) -> None:
    page = look.at("#/administration/keys")
    live(page)
    look.log_in(page, user("ADMIN"))
    page.goto(f"{look.up.url}/#/administration/keys")
    name = unique("gateway")
    page.get_by_role("button", name="Make a key").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill(name)
    box.get_by_label("read", exact=True).check()
    box.get_by_label("write", exact=True).uncheck()
    box.get_by_role("button", name="Make a key").click()
    secret = page.get_by_label(f"Key {name}").last.input_value()
    assert secret.startswith("vk_")
    with httpx.Client(base_url=look.up.url, timeout=30, trust_env=False, headers={"x-api-key": secret}) as http:
        assert http.get("/api/series").status_code == 200
        page.get_by_role("button", name="I have kept it").click()
        assert secret not in page.content()
        row = page.get_by_role("row", name=name)
        expect(row).to_contain_text("good")
        row.get_by_role("button", name=f"Rotate: {name}").click()
        box.get_by_role("button", name="Rotate").click()
        page.get_by_role("button", name="I have kept it").click()
        expect(row).to_have_count(2)
        old = row.filter(has_text="replaced")
        old.get_by_role("button", name=f"Revoke: {name}").click()
        box.get_by_role("button", name="Revoke").click()
        expect(row.filter(has_text="revoked")).to_have_count(1)


def test_a_tenant_is_made_limited_switched_off_and_deleted(look: Look, root: httpx.Client) -> None:
    page = as_root(look, root, "#/administration/tenants")
    name = unique("hotel")
    page.get_by_role("button", name="Add a tenant").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Id").fill(name)
    box.get_by_label("Name").fill(f"Hotel {name}")
    box.get_by_label("Series").fill("1234")
    box.get_by_role("button", name="Add a tenant").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("1,234")
    assert root.get(f"/admin/tenants/{name}").json()["plan"]["series"] == 1234
    row.get_by_role("button", name=f"Licences: {name}").click()
    box.get_by_label("Product").fill("Standard")
    box.get_by_label("Ends").fill("2999-12-31")
    box.get_by_role("button", name="Give a licence").click()
    box.get_by_role("button", name="End now: Standard").click()
    expect(box.get_by_role("button", name="End now: Standard")).to_have_count(0)
    page.keyboard.press("Escape")
    row.get_by_role("button", name=f"Change: {name}").click()
    box.get_by_label("Requests per second").fill("50")
    box.get_by_label("Active").uncheck()
    box.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("inactive")
    assert root.get(f"/admin/tenants/{name}").json()["plan"]["requestsPerS"] == 50
    row.get_by_role("button", name=f"Delete: {name}").click()
    box.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_a_user_is_let_into_a_further_tenant_and_out_again(
    look: Look, root: httpx.Client, user: Callable[..., str]
) -> None:
    look.allowed = ["404"]
    name, further = user("USER"), unique("hotel")
    assert root.post("/admin/tenants", json={"id": further, "name": further}).status_code == 201
    page = as_root(look, root, "#/administration/users?tenant=default")
    row, box = page.get_by_role("row", name=name), page.get_by_role("dialog")
    more = page.get_by_role("button", name="Show more")
    while not row.is_visible() and more.is_visible():
        more.click()
    row.get_by_role("button", name=f"Tenants: {name}").click()
    box.get_by_label("Tenant").fill("nobody-knows-it")
    box.get_by_role("button", name="Let in").click()
    expect(box.get_by_role("alert")).to_be_visible()
    box.get_by_label("Tenant").fill(further)
    box.get_by_label("Role").select_option("ADMIN")
    box.get_by_role("button", name="Let in").click()
    expect(box.get_by_role("row", name=further)).to_contain_text("ADMIN")
    login = {"username": name, "password": PASSWORD, "tenant": "default"}
    with httpx.Client(base_url=look.up.url, timeout=30, trust_env=False) as http:
        token = http.post("/auth/login", json=login).json()["accessToken"]
        asking = {"authorization": f"Bearer {token}"}
        assert [one["tenant"] for one in http.get("/auth/me", headers=asking).json()["tenants"]] == ["default", further]
    box.get_by_role("button", name=f"Take away: {further}").click()
    expect(box.get_by_text("No further tenant.")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Log out").click()
    look.log_in(page, user("ADMIN"))
    page.goto(f"{look.up.url}/#/administration/users")
    expect(page.get_by_role("button", name=f"Change: {name}")).to_be_visible()
    expect(page.get_by_role("button", name=f"Tenants: {name}")).to_have_count(0)


def test_each_role_sees_its_part(look: Look, root: httpx.Client, user: Callable[..., str]) -> None:
    page = look.at("#/administration")
    live(page)
    expect(tabs(page)).to_have_text(["Usage"])
    expect(page.get_by_role("heading", name="Day by day")).to_be_visible()
    look.log_in(page, user("READONLY"))
    expect(tabs(page)).to_have_text(["Usage"])
    page.get_by_role("button", name="Log out").click()
    look.log_in(page, user("ADMIN"))
    expect(tabs(page)).to_have_text(["Usage", "Users", "API keys", "Audit log"])
    support = unique("support")
    made = root.post("/admin/users", json={"name": support, "password": PASSWORD, "role": "SUPPORT"})
    assert made.status_code == 201, made.text
    page.get_by_role("button", name="Log out").click()
    look.log_in(page, support, tenant="")
    page.get_by_role("link", name="Tenants").click()
    expect(page.get_by_role("table", name="Tenants")).to_be_visible()
    expect(page.get_by_role("button", name="Add a tenant")).to_have_count(0)
    tabs(page).get_by_text("Users").click()
    expect(page.get_by_role("button", name="Add a user")).to_have_count(0)
    page.get_by_label("Home").select_option("platform")
    expect(page.get_by_role("row", name=support)).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", "desktop"), ("dark", "phone")])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, root: httpx.Client, violations: Callable[[Page], list[str]], scheme: str, size: str
) -> None:
    page = as_root(look, root, "#/administration", color_scheme=scheme, viewport=SIZES[size])
    words = {"usage": "", "users": "Add a user", "keys": "Make a key", "audit": "", "tenants": "Add a tenant"}
    for part, button in words.items():
        page.goto(f"{look.up.url}/#/administration/{part}")
        live(page)
        assert violations(page) == [], part
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], part
        if button:
            page.get_by_role("button", name=button).click()
            assert violations(page) == [], part
            page.keyboard.press("Escape")
