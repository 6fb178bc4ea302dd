"""`docs/how-to/add-a-tenant.md`, walked: its commands work as printed, one after the other."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

COUNTED = r"""
read() { curl -sS "$VIGIE$1" -H "Authorization: Bearer $ALICE"; }
until read '/api/series?name=bookings_created_total' | grep -q '"count":1'; do sleep 0.5; done
"""
USED = r"""
until read /admin/tenants/grand-hotel/usage | grep -q '"samples":1,'; do sleep 0.5; done
"""
"""Instead of sleeping: a busy machine needs longer."""
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-tenant.md"


def test_the_page_works_as_printed(vigie: Up) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    script = "".join(blocks).replace("http://localhost:3000", vigie.url)
    for shown, waited in (("sleep 2\n", COUNTED), ("sleep 6\n", USED)):
        assert shown in script
        script = script.replace(shown, waited)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "PASSWORD": vigie.admin_password(), "no_proxy": "*"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for answer in (
        r'"id":"grand-hotel","name":"Grand Hotel","status":"active"', r'"product":"Standard"', r'"name":"alice"',
        r'"success":true,"accepted":1', r'"name":"bookings_created_total".*"sum":3\.0,"count":1',
        r'"action":"key.created"', r'"today":\{"day":"[0-9-]+","samples":1,', r'"status":"inactive"',
    ):  # fmt: skip
        assert re.search(answer, done.stdout), f"{answer} is not in\n{done.stdout}"
