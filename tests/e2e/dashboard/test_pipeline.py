"""The pipeline as who looks after the platform sees it."""

from __future__ import annotations

from collections.abc import Callable

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from .conftest import Look
from .test_administration import as_root
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

CANARY_MS = 100_000
"""One flies every minute."""


def test_promises_readers_and_logs_are_shown_and_move(look: Look, root: httpx.Client) -> None:
    page = as_root(look, root, "#/pipeline")
    for promise in ("Accepted is durable", "Counted exactly once"):
        expect(page.locator(".promises li", has_text=promise)).to_contain_text("kept")
    alerts = page.locator(".promises li", has_text="Alerts are not lost")
    expect(alerts).to_contain_text("kept", timeout=CANARY_MS)
    readers = page.get_by_role("table", name="Readers")
    expect(readers).to_contain_text("vigie-aggregator")
    expect(readers).to_contain_text("vigie.samples.v1")
    expect(page.get_by_role("table", name="Topics")).to_contain_text("in sync")
    expect(page.get_by_text("Nothing was set aside.")).to_be_visible()
    expect(page.locator("main canvas")).to_have_count(2)
    rate = page.locator(".tile", has_text="Records per second").locator(".value")
    expect(rate).not_to_have_text("\N{EN DASH}")
    expect(rate).not_to_have_text("0")


def test_who_looks_after_one_tenant_is_not_offered_it(look: Look, user: Callable[..., str]) -> None:
    page = look.at("#/overview")
    live(page)
    expect(page.get_by_role("link", name="Pipeline")).to_have_count(0)
    look.log_in(page, user("ADMIN"))
    page.goto(f"{look.up.url}/#/pipeline")
    expect(page.get_by_text("This page needs the permission platform.read")).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", "desktop"), ("dark", "phone")])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, root: httpx.Client, violations: Callable[[Page], list[str]], scheme: str, size: str
) -> None:
    page = as_root(look, root, "#/pipeline", color_scheme=scheme, viewport=SIZES[size])
    expect(page.get_by_role("table", name="Topics")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
