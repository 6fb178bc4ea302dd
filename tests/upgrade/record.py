"""`make recordings`: what the last release writes, kept for the tests that read it with today's code.

Its services run on servers of their own, something of every kind is sent to them, and of every topic and collection a
few records and documents of different shape are written to `recorded/`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
from bson import json_util
from confluent_kafka import Consumer, Message
from vigie_contracts.payloads import payloads

from tests.chaos.alerts import drained, make_routes
from tests.chaos.system import Services
from tests.kit.kafka_login import librdkafka_login
from tests.kit.wait import eventually, unique
from tests.upgrade.base import install
from tests.upgrade.run import TENANT, Upgrade, started

RECORDED: Final = Path(__file__).with_name("recorded")
MESSAGES, DOCUMENTS = "messages.json", "documents.json"
OF_EACH_SHAPE: Final = 1
OF_EACH: Final = 6
"""Of a topic or collection, at most."""
SILENT_S: Final = 5.0
SECRET: Final = frozenset({"users", "api_keys", "sessions", "identity_state"})
"""Collections with hashes of passwords and keys: not for a repository."""


def main() -> int:
    """Write the files anew."""
    directory = Path(tempfile.mkdtemp(prefix="vigie-recordings-")).resolve()
    try:
        asyncio.run(_record(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


async def _record(directory: Path) -> None:
    release = install(directory / "base")
    async with started(
        release, directory, "recordings", print, anonymous="read,write,configure,telemetry", partitions=2
    ) as upgrade:
        await _write(upgrade)


async def _write(upgrade: Upgrade) -> None:
    await upgrade.begin()
    webhook = upgrade.webhook.url
    await make_routes(upgrade.url(upgrade.running["alerting"]), f"{webhook}/groups", f"{webhook}/chain")
    await _of_every_kind(upgrade)
    async with upgrade.traffic():
        pass
    await drained(upgrade.database, TENANT)
    await upgrade.settled("recorded")
    assert not upgrade.result.differences, upgrade.result.differences[:3]
    await asyncio.to_thread(upgrade.running["healthcheck"].stop)  # it writes on; the logs are to come to an end
    RECORDED.mkdir(exist_ok=True)
    messages = await asyncio.to_thread(_messages, upgrade.services)
    documents = await _documents(upgrade)
    head = {"commit": upgrade.result.commit}
    (RECORDED / MESSAGES).write_text(json.dumps(head | messages, indent=1) + "\n", encoding="utf-8")
    text = json.dumps(head | json.loads(json_util.dumps(documents, json_options=json_util.CANONICAL_JSON_OPTIONS)))
    (RECORDED / DOCUMENTS).write_text(text.replace('], "', '],\n "') + "\n", encoding="utf-8")
    for what, found in (("topics", messages), ("collections", documents)):
        print(f"{what}: " + ", ".join(f"{name} {len(some)}" for name, some in found.items()))


async def _of_every_kind(upgrade: Upgrade) -> None:
    """Events, telemetry, rules in both forms, a silence, a target of another kind."""
    urls = {service: upgrade.url(process) for service, process in upgrade.running.items()}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        for payload in payloads("api.events"):
            if payload.good and "batch" not in payload.name and "base64" not in payload.name:
                event = json.loads(payload.data) | {"id": payload.name, "time": _now()}
                headers = {"content-type": "application/cloudevents+json"}
                sent = await client.post(f"{urls['ingest']}/api/events", content=json.dumps(event), headers=headers)
                assert sent.is_success, f"{payload.name}: {sent.text}"
        node = {"tenantId": TENANT, "uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3, "cpuUsage": 4.5}
        sent = await client.post(f"{urls['ingest']}/telemetry", json=node)
        upgrade.result.reports += 1
        assert sent.is_success, sent.text
        rule = {"name": "by expression", "expression": "rate(ledger_counter[5m]) > 1e9", "for": "1m"}
        silence = {"comment": "planned", "matchers": ['host="nobody"'], "endsAt": "now+1h"}
        for body, path in ((rule, "/api/alerts/rules"), (silence, "/api/alerts/silences")):
            made = await client.post(urls["alerting"] + path, json=body)
            assert made.is_success, made.text
        beat = {"name": "nightly", "kind": "heartbeat", "interval": 60_000}
        made = await client.post(f"{urls['healthcheck']}/api/health/services", json=beat)
        assert made.is_success, made.text

        async def probed() -> bool:
            return bool(await upgrade.database.health_checks.count_documents({"tenant": TENANT}))

        await eventually(probed)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _messages(services: Services) -> dict[str, list[dict[str, Any]]]:
    """By the word of the topic: keys, headers and values, each as base64."""
    login = {"bootstrap.servers": services.addresses.kafka, **librdkafka_login()}
    consumer = Consumer({**login, "group.id": unique("recordings"), "auto.offset.reset": "earliest", "log_level": 0})
    topics = [name for name in consumer.list_topics(timeout=10).topics if not name.startswith("__")]
    consumer.subscribe(topics)
    seen: dict[str, dict[str, list[Message]]] = {}
    try:
        while (message := consumer.poll(SILENT_S if seen else 30.0)) is not None:
            if message.error() is None and message.value():
                word = "rules" if message.topic() == services.rules else (message.topic() or "").split(".")[1]
                some = seen.setdefault(word, {})
                kept = some.setdefault(_shape(_decoded(message.value() or b"")), [])
                if len(kept) < OF_EACH_SHAPE and sum(map(len, some.values())) < OF_EACH:
                    kept.append(message)
    finally:
        consumer.close()
    return {
        word: [_kept(message) for some in shapes.values() for message in some] for word, shapes in sorted(seen.items())
    }


def _kept(message: Message) -> dict[str, Any]:
    headers = {name: _text(value) for name, value in message.headers() or []}
    return {"key": _text(message.key()), "headers": headers, "value": _text(message.value())}


def _text(data: bytes | str | None) -> str | None:
    return None if data is None else base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _decoded(value: bytes) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return None


async def _documents(upgrade: Upgrade) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in sorted(await upgrade.database.list_collection_names()):
        shapes: dict[str, Any] = {}
        if name in SECRET or name.startswith("system."):
            continue
        async for document in upgrade.database[name].find({}).limit(2_000):
            inner = document.get("data")
            shape = _shape(document) + (_shape(_decoded(inner.encode())) if isinstance(inner, str) else "")
            if shape not in shapes and len(shapes) < OF_EACH:
                shapes[shape] = document
        if shapes:
            found[name] = list(shapes.values())
    return found


def _shape(value: Any) -> str:
    """Which fields are there, in which places, and of what type."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_shape(value[name])}" for name in sorted(value)) + "}"
    return f"[{_shape(value[0]) if value else ''}]" if isinstance(value, list) else type(value).__name__


if __name__ == "__main__":
    sys.exit(main())
