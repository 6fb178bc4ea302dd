"""Every registered page as every role: what one may see is offered, the console stays empty, nothing leaves the origin,
and axe-core finds nothing. A page that is added to `pages.js` is walked by itself."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect
from vigie_dashboard.site import DIRECTORY

from tests.kit import unique

from .conftest import PASSWORD, Look
from .test_shell import live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

ENTRY = re.compile(r'\{ path: "([\w-]+)",.*? permission: (?:"([\w.-]+)"|null)')
PAGES = dict(ENTRY.findall((DIRECTORY / "assets" / "pages.js").read_text(encoding="utf-8")))
"""Path -> the permission that it needs; empty: none."""
ROLES = ("nobody", "READONLY", "USER", "ADMIN", "SUPPORT", "SUPERADMIN")


def permissions(look: Look, name: str, tenant: str) -> set[str]:
    """What the API says that somebody may do, here and everywhere; without a name, of nobody."""
    with httpx.Client(base_url=look.up.url, timeout=30, trust_env=False) as http:
        if name:
            body = {"username": name, "password": PASSWORD, **({"tenant": tenant} if tenant else {})}
            token = http.post("/auth/login", json=body).json()["accessToken"]
            me = http.get("/auth/me", headers={"authorization": f"Bearer {token}"}).json()
        else:
            me = http.get("/auth/session").json()["anonymous"]
    here = [one["permissions"] for one in me["tenants"] if one["tenant"] == "default"]
    return {*(me.get("permissions") or ()), *(one for some in here for one in some)}


@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_well_for_every_role(
    look: Look, root: httpx.Client, user: Callable[..., str], violations: Callable[[Page], list[str]], role: str
) -> None:
    assert len(PAGES) > 5
    page = look.at("#/about")
    name, home = "", ""
    if role in ("SUPPORT", "SUPERADMIN"):
        name = unique(role.lower())
        made = root.post("/admin/users", json={"name": name, "password": PASSWORD, "role": role})
        assert made.status_code == 201, made.text
    elif role != "nobody":
        name, home = user(role), "default"
    if name:
        look.log_in(page, name, tenant=home)
    mine = permissions(look, name, home)
    offered = [path for path, needed in PAGES.items() if not needed or needed in mine]
    links = page.locator("nav.rail a").evaluate_all("all => all.map(one => one.getAttribute('href').slice(2))")
    assert [link.split("?")[0] for link in links] == offered
    found: list[str] = []
    for path, needed in PAGES.items():
        page.evaluate("path => { location.hash = `#/${path}`; }", path)
        expect(page).to_have_url(f"{look.up.url}/#/{path}")
        if path in offered:
            live(page)
            expect(page.locator("main .card, main .notice, main p").first).to_be_visible()
        else:
            expect(page.get_by_text(f"This page needs the permission {needed}")).to_be_visible()
        expect(page.locator("main .failed, main .wrong")).to_have_count(0)
        if path in offered:
            found += [f"{path}: {one}" for one in violations(page)]
        found += [f"{path}: {one}" for one in look.wrong]
        look.wrong.clear()
    assert found == []
