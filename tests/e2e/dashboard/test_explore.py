"""Any question to the numbers, as somebody asks it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from playwright.sync_api import Page, expect

from .conftest import Look
from .test_shell import SIZES, live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

EXPRESSION = "sum by (service) (rate(bookings_created_total[5m]))"


def test_an_expression_is_completed_drawn_listed_and_shared(look: Look, tmp_path: Path) -> None:
    page = look.at("#/explore")
    live(page)
    editor = page.get_by_role("textbox", name="Expression")
    editor.press_sequentially("sum by (service) (rate(bookings_cre")
    page.get_by_role("option", name="bookings_created_total", exact=True).click()
    expect(editor).to_have_value("sum by (service) (rate(bookings_created_total")
    editor.press_sequentially("[5m]))")
    editor.press("Control+Enter")
    rows = page.locator("tbody tr")
    expect(rows.filter(has_text="hotel-booking")).to_have_count(1)
    expect(page.locator(".plot canvas")).to_have_count(1)
    expect(page.get_by_text("a point for 20 s")).to_be_visible()
    assert f"expr={quote_plus(EXPRESSION)}" in page.url

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    saved = tmp_path / "vigie.csv"
    download.value.save_as(saved)
    with saved.open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    assert head[0] == "time"
    assert '{service="hotel-booking"}' in head
    assert len(lines) > 100

    again = look.at(page.url.removeprefix(f"{look.up.url}/"))
    expect(again.locator("tbody tr").filter(has_text="hotel-booking")).to_have_count(1)


def test_a_wrong_expression_says_where_and_stays(look: Look) -> None:
    look.allowed = ["400", "422"]
    page = look.at(f"#/explore?expr={quote('sum(rate(x[5m])')}")
    expect(page.get_by_role("alert")).to_contain_text("parse error")
    expect(page.get_by_role("textbox", name="Expression")).to_have_value("sum(rate(x[5m])")


def test_labels_and_values_are_offered_inside_braces(look: Look) -> None:
    page = look.at("#/explore")
    live(page)
    editor = page.get_by_role("textbox", name="Expression")
    editor.press_sequentially("http_requests_total{serv")
    expect(page.get_by_role("option", name="service", exact=True)).to_be_visible()
    editor.press("Tab")
    expect(editor).to_have_value("http_requests_total{service")
    editor.press_sequentially('="hotel')
    page.get_by_role("option", name="hotel-booking", exact=True).click()
    expect(editor).to_have_value('http_requests_total{service="hotel-booking')


def test_the_builder_says_tier_and_error_and_becomes_an_expression(look: Look) -> None:
    page = look.at("#/explore?mode=builder")
    live(page)
    page.get_by_label("Metric").fill("http_request_duration_seconds")
    page.get_by_label("Function").select_option("p95")
    page.get_by_label("By labels").fill("service")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("error at most 1 %")).to_be_visible()
    expect(page.get_by_text("windows of 10s")).to_be_visible()
    expect(page.locator("tbody tr").filter(has_text="hotel-booking")).to_have_count(1)
    page.get_by_role("button", name="PromQL").click()
    expression = "histogram_quantile(0.95, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m])))"
    expect(page.get_by_role("textbox", name="Expression")).to_have_value(expression)
    expect(page.locator("tbody tr").filter(has_text="hotel-booking")).to_have_count(1)


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("address", ["#/explore?mode=builder", f"#/explore?expr={quote(EXPRESSION)}"])
def test_nothing_stands_in_the_way_of_anybody(
    look: Look, violations: Callable[[Page], list[str]], address: str, size: str
) -> None:
    page = look.at(address, viewport=SIZES[size])
    live(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
