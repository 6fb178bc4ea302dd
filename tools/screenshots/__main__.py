"""Pictures of every page of the dashboard, light, dark and on a phone: `python -m tools.screenshots`.

They are taken of a `vigie up` that is started for them; with `--url` of one that runs, as it is and of what any has,
logged in with VIGIE_ADMIN_PASSWORD where that is set. All go to `--into`, those that the docs show to `docs/images` as
well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tools.screenshots.pages import SHOTS, Shot
from tools.screenshots.png import quantized
from tools.screenshots.scene import Api, running

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "docs" / "images"
ALL: Final = ROOT / "dist" / "screenshots"
SIZES: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}
WAIT_MS: Final = 45_000
SETTLED: Final = "() => !document.querySelector('.loading, .value.waiting, .toast')"
DRAWN_MS: Final = 500
"""Charts are drawn a frame after their numbers came."""


def main() -> int:
    """Take all of them; 0 when there is no Chromium: then there is nothing to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="a Vigie that runs; without it one is started")
    parser.add_argument("--into", type=Path, default=ALL)
    parser.add_argument("--images", type=Path, default=IMAGES, help="where those go that the docs show")
    parser.add_argument("--page", action="append", choices=sorted(SHOTS), help="only this one")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("make screenshots: skipped, there is no chromium on this machine", file=sys.stderr)
        return 0
    wanted = [shot for page in arguments.page or SHOTS for shot in SHOTS[page] if not (arguments.url and shot.ours)]
    with tempfile.TemporaryDirectory(prefix="vigie-screenshots-") as directory, sync_playwright() as playwright:
        scene: AbstractContextManager[Api] = running(Path(directory))
        if arguments.url:
            scene = nullcontext(Api(arguments.url.rstrip("/"), os.environ.get("VIGIE_ADMIN_PASSWORD", "")))
        with scene as api:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for size in SIZES:
                _take_all(browser, api, size, wanted, (arguments.into, arguments.images))
            browser.close()
    return 0


def _take_all(browser: Browser, api: Api, size: str, wanted: list[Shot], places: tuple[Path, Path]) -> None:
    """`places`: of all, and of those that the docs show."""
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Paris", reduced_motion="reduce", **SIZES[size])
    context.set_default_timeout(WAIT_MS)
    if api.password:
        _log_in(context, api)
    for shot in wanted:
        page = context.new_page()
        try:
            picture = _picture(page, api.url, shot, shot.watched_s if size in shot.shown else 0.0)
        except Exception as error:
            raise RuntimeError(f"no picture of {shot.name} ({size}): {error}") from error
        page.close()
        for directory in places if size in shot.shown else places[:1]:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"dashboard-{shot.name}-{size}.png").write_bytes(picture)
        print(f"{shot.name} {size}: {len(picture) // 1000} kB", flush=True)
    context.close()


def _log_in(context: BrowserContext, api: Api) -> None:
    body = {"username": "admin", "password": api.password}
    answer = context.request.post(f"{api.url}/auth/session", data=body, headers={"origin": api.url})
    if not answer.ok:
        raise RuntimeError(f"the login failed: {answer.status} {answer.text()}")


def _picture(page: Page, url: str, shot: Shot, watched_s: float) -> bytes:
    page.goto(f"{url}/#/{shot.address}")
    page.locator(".live.ok").wait_for()
    page.locator(f"main {shot.ready}").first.wait_for()
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(DRAWN_MS + watched_s * 1000)
    page.locator(".live.ok").wait_for()  # a connection that was lost meanwhile is back
    return quantized(page.screenshot())


if __name__ == "__main__":
    sys.exit(main())
