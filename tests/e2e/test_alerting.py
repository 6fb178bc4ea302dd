"""Alerts in `vigie up`: from a sample to the mail and the webhook that its inbox caught, and to the alert's end."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2 as httpx
import pytest
from vigie_standalone.home import Home
from vigie_standalone.inbox.mailbox import Mailbox
from vigie_standalone.inbox.messages import Kind, Message

from tests.e2e.up import Up
from tests.kit import eventually, unique

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

LIVE_S = 2.0
"""A change of a rule holds everywhere within so long."""
TOLD_S = 1.0
SEED_RULE = b"""{
    "name": "High Error Rate",
    "metricName": "http_requests_total",
    "condition": ">",
    "threshold": 0.05,
    "severity": "high",
    "notificationChannels": [
      {
        "type": "slack",
        "destination": "#alerts"
      }
    ]
  }"""


@pytest.fixture
def mailbox(vigie: Up) -> Mailbox:
    """What the inbox caught."""
    return Mailbox(Home(vigie.directory / "home").inbox)


def hook(vigie: Up, path: str) -> str:
    """The URL of a webhook at the inbox."""
    ports = json.loads((vigie.directory / "home" / "ports.json").read_text(encoding="utf-8"))
    return f"http://127.0.0.1:{ports['inbox-http']}{path}"


def about(mailbox: Mailbox, word: str, kind: Kind) -> list[Message]:
    """The messages of a kind that have the word in them, oldest first."""
    return [m for _, m in mailbox.after(0) if m.kind is kind and (word in m.text or word in m.to)]


async def send(client: httpx.AsyncClient, name: str, value: float) -> None:
    body = {"name": name, "type": "gauge", "value": value, "labels": {"queue": "mails"}}
    assert (await client.post("/api/metrics/custom", json=body)).status_code == 201


async def rule(client: httpx.AsyncClient, name: str, *channels: dict[str, str]) -> str:
    """Write `name > 10` and wait until it was evaluated; its id."""
    body = {"name": name, "metricName": name, "condition": ">", "threshold": 10, "notificationChannels": channels}
    answer = await client.post("/api/alerts/rules", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()["id"]

    async def watched() -> bool:
        return (await client.get(f"/api/alerts/rules/{made}")).json()["health"] is not None

    since = time.monotonic()
    await eventually(watched, 20)
    assert time.monotonic() - since <= LIVE_S
    return made


async def alert(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """The newest of the rule of that name; empty while there is none."""
    listed = (await client.get("/api/alerts")).json()["alerts"]
    return next((one for one in listed if one["type"] == name), {})


def status_is(client: httpx.AsyncClient, name: str, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await alert(client, name)).get("status") == wanted

    return check


async def test_alert_reaches_mail_and_webhook_is_acknowledged_and_resolves_by_itself(
    client: httpx.AsyncClient, vigie: Up, mailbox: Mailbox
) -> None:
    name = unique("queue").replace("-", "_")
    await send(client, name, 1)
    mail, webhook = {"type": "email", "destination": "me@example.com"}, f"/{name}"
    await rule(client, name, mail, {"type": "webhook", "destination": hook(vigie, webhook)})

    await send(client, name, 12)
    accepted_ms = time.time() * 1000
    await eventually(lambda: about(mailbox, name, Kind.MAIL) and about(mailbox, webhook, Kind.WEBHOOK), 20)
    [fired] = about(mailbox, name, Kind.MAIL)
    [called] = about(mailbox, webhook, Kind.WEBHOOK)
    for message in (fired, called):
        assert message.received_ms - accepted_ms <= TOLD_S * 1000
    assert (fired.to, fired.subject) == ("me@example.com", f"[FIRING] {name} (warning)")
    payload = json.loads(called.text)
    assert (payload["version"], payload["status"]) == ("4", "firing")
    firing = await alert(client, name)
    assert payload["alerts"][0]["fingerprint"] == firing["id"]

    answer = await client.post(f"/api/alerts/{firing['id']}/acknowledge", json={"note": "on it"})
    assert answer.status_code == 200, answer.text
    assert (await alert(client, name))["status"] == "acknowledged"

    await send(client, name, 3)
    await eventually(status_is(client, name, "resolved"), 20)
    await eventually(lambda: any("RESOLVED" in m.subject for m in about(mailbox, name, Kind.MAIL)), 20)
    await eventually(lambda: json.loads(about(mailbox, webhook, Kind.WEBHOOK)[-1].text)["status"] == "resolved", 20)
    thread = {m.headers["References"] for m in about(mailbox, name, Kind.MAIL)}
    assert len(thread) == 1
    history = (await client.get(f"/api/alerts/{firing['id']}/history")).json()
    assert "on it" in json.dumps(history)


async def test_rule_of_the_reference_is_taken_as_printed_and_told_through_slack(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    answer = await client.post("/api/alerts/rules", content=SEED_RULE, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    made, service = answer.json(), unique("shop")
    try:
        labels = {"service": service, "method": "GET", "endpoint": "/", "status": "500"}
        body = {"name": "http_requests_total", "type": "counter", "value": 7, "labels": labels}

        async def told() -> bool:
            assert (await client.post("/api/metrics/custom", json=body)).status_code == 201
            return bool(about(mailbox, service, Kind.SLACK))

        await eventually(told, 20, interval=0.5)
        assert about(mailbox, service, Kind.SLACK)[0].subject.startswith("[FIRING] High Error Rate (high)")
    finally:
        assert (await client.delete(f"/api/alerts/rules/{made['id']}")).status_code == 204


async def test_inbox_is_shown_by_the_command_and_as_a_page(
    client: httpx.AsyncClient, vigie: Up, mailbox: Mailbox
) -> None:
    host = unique("host")
    labels = {"host": host, "service": "<b>pay</b>"}
    body = {"name": "service_up", "type": "gauge", "value": 0, "labels": labels}
    assert (await client.post("/api/metrics/custom", json=body)).status_code == 201
    await eventually(lambda: about(mailbox, host, Kind.MAIL), 20)  # by a shipped rule
    listed = vigie.vigie("inbox", "list")
    assert listed.returncode == 0, listed.stderr
    assert "[FIRING] service_down (error)" in listed.stdout
    number = next(number for number, m in mailbox.after(0) if host in m.text and m.kind is Kind.MAIL)
    assert f"on {host} is stopped" in vigie.vigie("inbox", "show", str(number)).stdout
    page = await client.get(f"/inbox?message={number}")
    assert f"&lt;b&gt;pay&lt;/b&gt; on {host} is stopped" in page.text
    assert "<b>pay" not in page.text
    assert f"/inbox?message={number}" in (await client.get("/inbox")).text
    assert (await client.post("/api/metrics/custom", json={**body, "value": 1})).status_code == 201
    await eventually(lambda: any("RESOLVED" in m.subject for m in about(mailbox, host, Kind.MAIL)), 20)
