"""A web server that behaves as Slack does: it has messages, by their `ts`, which are edited and replied to, and it
signs what its buttons send."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlencode

from vigie_alerting.slack.signature import signature

from services.alerting.tests.kit import Answer, Call, WebServer, answer

TOKEN = "xoxb-1234567890-hunter2-Zq8PVw"
SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
CHANNEL = "C0123456789"
Json = dict[str, Any]


class SlackDouble:
    """`refuse` are errors that the next calls are answered with, by method; `faults` whole answers, for all that
    comes."""

    def __init__(self) -> None:
        self.server = WebServer()
        self.server.always = self._answer
        self.messages: dict[str, Json] = {}
        """By ts, as they are now."""
        self.replies: list[tuple[str, Json]] = []
        """With the ts that they are below."""
        self.edits: list[Json] = []
        self.answered: list[Json] = []
        """What was sent to the response_url."""
        self.refuse: dict[str, list[str]] = {}
        self.faults: list[Answer] = []
        self.emails: dict[str, str] = {}
        self.token = TOKEN
        self._count = 0

    async def start(self) -> SlackDouble:
        await self.server.start()
        return self

    async def stop(self) -> None:
        await self.server.stop()

    @property
    def api(self) -> str:
        return self.server.url("/api")

    @property
    def secrets(self) -> dict[str, str]:
        """Of a channel that posts here."""
        return {"token": TOKEN, "signing": SIGNING, "api": self.api}

    def only(self) -> Json:
        """The one message that there is."""
        (message,) = self.messages.values()
        return message

    def heading(self) -> str:
        return self.only()["attachments"][0]["fallback"]

    def lines(self) -> list[str]:
        """The small print of the one message, without its foot."""
        blocks = self.only()["attachments"][0]["blocks"]
        found = [block["elements"] for block in blocks if block["type"] == "context"]
        return [one["text"] for elements in found[:-1] for one in elements if one["type"] == "plain_text"]

    def buttons(self, message: Json | None = None) -> dict[str, Json]:
        """By their words."""
        blocks = (message or self.only())["attachments"][0]["blocks"]
        return {
            one["text"]["text"]: one for block in blocks if block["type"] == "actions" for one in block["elements"]
        }  # fmt: skip

    def press(self, words: str, now_s: float, *, user: str = "U1", name: str = "anna", secret: str = SIGNING) -> Any:
        """A request as Slack makes it when somebody presses the button: headers and body."""
        return self.pressed(self.buttons()[words], now_s, user=user, name=name, secret=secret)

    def pressed(
        self, button: Json, now_s: float, *, user: str = "U1", name: str = "anna", secret: str = SIGNING
    ) -> Any:
        action = {"type": "button", "action_id": button["action_id"], "value": button["value"]}
        payload = {
            "type": "block_actions", "user": {"id": user, "username": name, "team_id": "T1"}, "actions": [action],
            "response_url": self.server.url("/response"), "channel": {"id": CHANNEL},
        }  # fmt: skip
        body, at = urlencode({"payload": json.dumps(payload)}).encode(), str(int(now_s))
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": at, "x-slack-signature": signature(secret, at, body),
        }  # fmt: skip
        return {"headers": headers, "content": body}

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        call = self.server.calls[-1]
        if self.faults:
            await self.faults.pop(0)(writer)
            return
        if call.path == "/response":
            self.answered.append(json.loads(call.body))
            await answer(200, b"ok")(writer)
            return
        method = call.path.rpartition("/")[2]
        await answer(200, json.dumps(self._called(method, call)).encode(), Content_Type="application/json")(writer)

    def _called(self, method: str, call: Call) -> Json:
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return {"ok": False, "error": "invalid_auth"}
        if errors := self.refuse.get(method):
            return {"ok": False, "error": errors.pop(0)}
        if method == "users.info":
            email = self.emails.get(parse_qs(call.body.decode())["user"][0])
            return {"ok": True, "user": {"profile": {"email": email} if email else {}}}
        body = json.loads(call.body)
        check_limits(body)
        if method == "chat.update":
            if body["ts"] not in self.messages or body["channel"] != CHANNEL:
                return {"ok": False, "error": "message_not_found"}
            self.messages[body["ts"]] = body
            self.edits.append(body)
            return {"ok": True, "channel": CHANNEL, "ts": body["ts"], "text": body["text"]}
        if body["channel"] not in (CHANNEL, "#alerts"):
            return {"ok": False, "error": "channel_not_found"}
        self._count += 1
        ts = f"1790000000.{self._count:06d}"
        if "thread_ts" in body:
            self.replies.append((body["thread_ts"], body))
        else:
            self.messages[ts] = body
        return {"ok": True, "channel": CHANNEL, "ts": ts, "message": body}


def check_limits(body: Json) -> None:
    """Of Block Kit."""
    for attachment in body.get("attachments", []):
        blocks = attachment["blocks"]
        assert len(blocks) <= 50
        for block in blocks:
            assert len(block.get("elements", [])) <= (10 if block["type"] == "context" else 25)
            assert len(block.get("fields", [])) <= 10
            assert all(len(one["text"]) <= 2_000 for one in block.get("fields", []))
            text = block.get("text", {}).get("text", "x")
            assert 0 < len(text) <= (150 if block["type"] == "header" else 3_000)
            for one in block.get("elements", []):
                assert len(one.get("value", "")) <= 2_000
    assert len(body.get("text", "")) <= 4_000
