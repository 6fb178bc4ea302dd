"""The dashboard below a path of somebody else's proxy: a real nginx with the dashboard at /vigie/."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from vigie_standalone.embedded.ports import free_port

from tests.e2e.up import Up
from tests.kit.processes import http_ready

from .conftest import Look
from .test_shell import live

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(400)]

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
CONFIGURATION = """
daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    location /vigie/ {{
      proxy_pass {up}/;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


@pytest.fixture
def below(up: Up, tmp_path: Path) -> Iterator[str]:
    """The address of the dashboard behind nginx; skipped where there is none."""
    if NGINX is None:
        pytest.skip("there is no nginx on this machine")
    port = free_port()
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIGURATION.format(directory=tmp_path, port=port, up=up.url))
    url = f"http://127.0.0.1:{port}/vigie"
    nginx = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        end, ready = time.monotonic() + 20, http_ready(f"{url}/health/ready")
        while not ready():
            assert nginx.poll() is None, (tmp_path / "error.log").read_text()
            assert time.monotonic() < end, "nginx does not answer"
            time.sleep(0.1)
        yield url
    finally:
        nginx.terminate()
        nginx.wait(20)


def test_login_live_and_charts_work_below_a_path(below: str, look: Look, user: Callable[..., str]) -> None:
    look.below = below
    name = user("READONLY")
    page = look.at()
    live(page)
    expect(page.locator("canvas")).to_have_count(8)
    tiles = page.locator(".tile .value")
    before = tiles.all_inner_texts()
    changed = "old => [...document.querySelectorAll('.tile .value')].some((one, n) => one.innerText !== old[n])"
    page.wait_for_function(changed, arg=before)
    look.log_in(page, name)
    [cookie] = page.context.cookies(f"{below}/auth/session")
    assert cookie["path"] == "/vigie/auth"
    page.reload()
    live(page)
    expect(page.locator(".who")).to_contain_text(name)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Explore").click()
    expect(page).to_have_url(f"{below}/#/explore")
    page.goto(f"{below}/#/explore?expr=sum(rate(bookings_created_total%5B5m%5D))")
    expect(page.locator("canvas")).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are not logged in")).to_be_visible()
    assert page.context.cookies(f"{below}/auth/session") == []
