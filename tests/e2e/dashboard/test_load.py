"""Live updates do not hold the page: a thousand points a second, through a real push, on a page that shows them."""

from __future__ import annotations

import threading
import time

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from tests.kit import unique

from .conftest import Look
from .test_shell import live
from .test_telemetry_and_apps import stamp

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(200)]

NUMBERS = 50
"""Of one report."""
REPORTS_PER_S = 24
POINTS_PER_S = 1_000
MEASURED_S = 6.0
MOST = 0.2
"""Of the main thread's time."""
COUNT = """async (id) => {
  const { listen } = await import(new URL("assets/core/live.js", document.baseURI).href);
  globalThis.seen = 0;
  listen("app", { appId: id }, (message) => { globalThis.seen += Object.keys(message.payload.metrics).length; });
}"""


class Reporter(threading.Thread):
    """An app that reports so many times a second, until it is told to stop."""

    def __init__(self, url: str, app: str) -> None:
        super().__init__(daemon=True)
        self._url, self._app = url, app
        self.stopping = threading.Event()
        self.failed = ""

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as http:
            due, turn = time.monotonic(), 0
            while not self.stopping.is_set():
                turn += 1
                metrics = {f"n{n:02d}": n + turn % 97 for n in range(NUMBERS)}
                body = {"userId": "u", "metrics": metrics, "timestamp": stamp()}
                answer = http.post(f"/api/apps/{self._app}/metrics", json=body)
                if answer.status_code >= 300:
                    self.failed = answer.text
                    return
                due += 1 / REPORTS_PER_S
                self.stopping.wait(max(0.0, due - time.monotonic()))


def test_a_thousand_points_a_second_leave_the_main_thread_free(look: Look) -> None:
    app = unique("busy")
    page = look.at(f"#/apps/{app}")
    live(page)
    page.evaluate(COUNT, app)
    reporter = Reporter(look.up.url, app)
    reporter.start()
    try:
        expect(page.locator(".tile", has_text="n00")).to_be_visible()
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})  # work, not waiting for a processor
        cdp.send("Performance.enable")

        def busy_s() -> float:
            found = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
            return found["TaskDuration"]

        page.wait_for_function("() => globalThis.seen > 0")
        began, seen, busy = time.monotonic(), page.evaluate("globalThis.seen"), busy_s()
        page.wait_for_timeout(MEASURED_S * 1000)
        elapsed = time.monotonic() - began
        points, share = (page.evaluate("globalThis.seen") - seen) / elapsed, (busy_s() - busy) / elapsed
    finally:
        reporter.stopping.set()
        reporter.join(30)
    print(f"{points:.0f} points/s, {share:.1%} of the main thread")
    assert not reporter.failed, reporter.failed
    assert points >= POINTS_PER_S, "what was sent did not arrive"
    assert share < MOST
