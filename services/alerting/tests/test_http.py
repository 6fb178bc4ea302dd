"""Guard, redirects, names, certificates, deadlines of what is sent over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.http import MAX_CONNECTIONS, Http, parsed
from vigie_alerting.notifiers.slack import Slack
from vigie_alerting.notifiers.webhook import Webhook, payload
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock

from services.alerting.tests.kit import WebServer, answer, certificate
from services.alerting.tests.rigs import LOOPBACK, NOW_MS
from services.alerting.tests.samples import TRACE, firing_message

KEY = b"k" * 32
SIGNING = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    made = await WebServer().start()
    yield made
    await made.stop()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    made = Http(LOOPBACK, ManualClock(NOW_MS), deadline_s=5.0)
    yield made
    await made.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "127.1"])
async def test_no_way_of_writing_loopback_passes_the_guard(server: WebServer, host: str) -> None:
    guarded = Http((), ManualClock(NOW_MS))
    with pytest.raises(Permanent) as caught:
        await guarded.post(f"http://{host}:{server.port}/", {}, b"")
    assert caught.value.failure is Failure.FORBIDDEN_ADDRESS
    assert not server.calls
    await guarded.aclose()


async def test_the_address_that_was_judged_is_the_one_that_is_called(server: WebServer) -> None:
    asked: list[str] = []

    async def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["203.0.113.1", "127.0.0.1"]

    guarded = Http((), ManualClock(NOW_MS), deadline_s=0.2, lookup=rebinding)
    with pytest.raises(Permanent):  # 203.0.113.0/24 is for documentation: no public address either
        await guarded.post(f"http://rebound.example:{server.port}/", {}, b"")
    assert asked == ["rebound.example"]
    assert not server.calls
    await guarded.aclose()


async def test_redirect_to_an_address_inside_is_refused(server: WebServer) -> None:
    guarded = Http((), ManualClock(NOW_MS))
    server.always = answer(307, Location="http://127.0.0.1:1/inside")
    with pytest.raises(Permanent) as caught:  # trusted: the first may be inside, what it says may not
        await guarded.post(server.url(), {}, b"", trusted=True)
    assert caught.value.failure is Failure.FORBIDDEN_ADDRESS
    assert len(server.calls) == 1
    await guarded.aclose()


async def test_redirects_repeat_the_post_and_keep_secrets_at_home(server: WebServer, http: Http) -> None:
    other = await WebServer().start()
    server.answers = [answer(307, Location="/two"), answer(308, Location=other.url("/three"))]
    await http.post(server.url("/one"), {"Authorization": "Bearer x"}, b"body")
    assert [call.path for call in server.calls] == ["/one", "/two"]
    assert [call.headers.get("authorization") for call in server.calls] == ["Bearer x", "Bearer x"]
    (last,) = other.calls
    assert (last.method, last.path, last.body, last.headers.get("authorization")) == ("POST", "/three", b"body", None)
    await other.stop()


@pytest.mark.parametrize(
    ("status", "location"),
    [(307, "/again"), (302, "/get"), (301, "/get"), (307, ""), (307, "ftp://x/"), (307, "http://[")],
)
async def test_redirects_that_lead_nowhere_end(server: WebServer, http: Http, status: int, location: str) -> None:
    server.always = answer(status, Location=location)
    with pytest.raises(Permanent) as caught:
        await http.post(server.url(), {}, b"")
    assert caught.value.failure is Failure.REDIRECTED
    assert len(server.calls) <= 4


async def test_https_does_not_become_http(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    server = await WebServer().start(made.server)
    server.always = answer(308, Location="http://localhost/")
    http = Http(LOOPBACK, ManualClock(NOW_MS), tls=made.client)
    with pytest.raises(Permanent):
        await http.post(f"https://localhost:{server.port}/", {}, b"")
    server.always = answer(204)
    assert (await http.post(f"https://localhost:{server.port}/", {}, b"")).status == 204
    stranger = Http(LOOPBACK, ManualClock(NOW_MS), tls=ssl.create_default_context())
    with pytest.raises(Temporary) as caught:
        await stranger.post(f"https://localhost:{server.port}/", {}, b"")
    assert caught.value.failure is Failure.TLS
    with pytest.raises(Temporary):  # no TLS on that port's other protocol either
        await http.post(f"http://localhost:{server.port}/", {}, b"")
    for one in (http, stranger, server):
        await (one.stop() if isinstance(one, WebServer) else one.aclose())


async def test_a_name_without_address_is_temporary(http: Http) -> None:
    with pytest.raises(Temporary) as caught:
        await http.post("https://no-such-host.invalid/hook", {}, b"")
    assert caught.value.failure is Failure.NAME_UNKNOWN


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("0", 0), ("120", 120), ("999999", 3_600), ("-1", None), ("soon", None), ("1e3", None), ("", None),
     ("Mon, 21 Sep 2026 14:15:30 GMT", 30), ("Mon, 21 Sep 2026 14:00:00 GMT", 0)],
)  # fmt: skip
async def test_retry_after_is_read_and_bounded(server: WebServer, http: Http, said: str, seconds: float | None) -> None:
    server.always = answer(503, Retry_After=said)
    with pytest.raises(Temporary) as caught:
        await http.post(server.url(), {}, b"")
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    "url",
    ["", "hook", "ftp://x/", "http://", "http:///x", "http://x y/", "http://x/\r\nHost: y", "http://x:0/", "http://x:99999/",
     "http://ex\u00e4mple.com/", "http://[::1/", "http://x\\@y/", "file:///etc/passwd", "http://x/" + "a" * 3000],
)  # fmt: skip
def test_urls_that_cannot_be_called_are_told(url: str) -> None:
    with pytest.raises(Permanent):
        parsed(url)


async def test_connections_are_used_again(server: WebServer, http: Http) -> None:
    for _ in range(3):
        await http.post(server.url(), {}, b"x")
    assert len(server.calls) == 3


async def test_refused_addresses_use_up_no_connections(server: WebServer) -> None:
    http = Http(LOOPBACK, ManualClock(NOW_MS), deadline_s=2.0)
    for _ in range(MAX_CONNECTIONS + 10):
        with pytest.raises(Permanent):
            await http.post("http://10.255.255.1/", {}, b"")
    await http.post(server.url(), {}, b"x")
    await http.aclose()


async def test_login_in_the_url_is_sent_as_one(server: WebServer, http: Http) -> None:
    await http.post(f"http://us%40er:pa%3Ass@127.0.0.1:{server.port}/x", {}, b"")
    assert server.calls[0].headers["authorization"] == "Basic " + base64.b64encode(b"us@er:pa:ss").decode()
    assert server.calls[0].path == "/x"


async def test_webhook_is_signed_and_carries_id_time_and_trace(server: WebServer, http: Http) -> None:
    channel = Channel("c", TenantId("acme"), "ops", "webhook", server.url(), {"signing": SIGNING})
    await Webhook(http, ManualClock(NOW_MS)).send(channel, firing_message())
    (call,) = server.calls
    assert call.headers["webhook-id"] == "n1"
    assert call.headers["webhook-timestamp"] == str(NOW_MS // 1000)
    signed = f"n1.{NOW_MS // 1000}.".encode() + call.body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert call.headers["webhook-signature"] == f"v1,{expected}"
    assert call.headers["traceparent"].split("-")[1] == TRACE
    assert call.body == payload(firing_message())


@pytest.mark.parametrize("secret", ["whsec_", "plain", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
async def test_a_signing_secret_that_is_none_is_refused(server: WebServer, http: Http, secret: str) -> None:
    channel = Channel("c", TenantId("acme"), "ops", "webhook", server.url(), {"signing": secret})
    with pytest.raises(Permanent) as caught:
        await Webhook(http, ManualClock(NOW_MS)).send(channel, firing_message())
    assert secret == "whsec_" or secret not in str(caught.value)
    assert not server.calls


async def test_slack_channel_by_name_goes_to_the_default_webhook(server: WebServer) -> None:
    guarded = Http((), ManualClock(NOW_MS))  # the settings' own address needs no permission
    channel = Channel("slack:#alerts", TenantId("acme"), "#alerts", "slack", "#alerts")
    await Slack(guarded, server.url("/services/T/B/x")).send(channel, firing_message())
    assert server.calls[0].path == "/services/T/B/x"
    assert b'"channel":"#alerts"' in server.calls[0].body
    with pytest.raises(Permanent) as caught:
        await Slack(guarded, None).send(channel, firing_message())
    assert "SLACK_WEBHOOK_URL" in str(caught.value)
    await guarded.aclose()
