"""What the page about channels shows is what is sent, and its code checks it."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

from vigie_alerting.channels.settings import ChannelSettings
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.notifiers.webhook import payload, signature
from vigie_runtime.settings import Settings, variable_name

from services.alerting.tests.samples import firing_message

PAGE = (Path(__file__).parents[3] / "docs" / "alerting-channels.md").read_text()
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def block(language: str, begin: str) -> str:
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if code.startswith(begin))


def test_payload_of_the_page_is_what_is_sent() -> None:
    assert json.loads(block("json", "{")) == json.loads(payload(firing_message()))


def test_code_of_the_page_tells_a_signature_from_a_forged_or_an_old_one() -> None:
    scope: dict[str, Any] = {}
    exec(block("python", "import base64"), scope)
    body, now = payload(firing_message()), int(time.time())
    good = {"webhook-id": "n1", **signature(SECRET, "n1", now, body)}
    old = {"webhook-id": "n1", **signature(SECRET, "n1", now - 3_600, body)}
    check = scope["is_from_vigie"]
    assert check(SECRET, good, body)
    assert not check(SECRET, good, body + b" ")
    assert not check(SECRET, {**good, "webhook-id": "n2"}, body)
    assert not check(SECRET, old, body)
    assert not check("whsec_" + base64.b64encode(b"j" * 24).decode(), good, body)


def test_every_kind_and_setting_is_on_the_page() -> None:
    kinds = re.findall(r"^\| `([a-z]+)` \|", PAGE.partition("## What is promised")[0], re.MULTILINE)
    assert set(kinds) == {*KINDS, "channel", "type"}  # and the heading
    rows = "".join(line for line in PAGE.partition("## Settings")[2].splitlines() if line.startswith("| `"))
    own = {name: one for name, one in ChannelSettings.model_fields.items() if name not in Settings.model_fields}
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", rows)) == {variable_name(name, one) for name, one in own.items()}
