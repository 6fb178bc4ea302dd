"""The how-to for a new intake, followed to the letter: its file and its line in the registry are all that is needed."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from vigie_contracts import limits
from vigie_contracts.paths import Service, service_of
from vigie_contracts.series import Kind, SeriesKey
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.tenants import Plan
from vigie_ingest.idempotency import body_key
from vigie_ingest.intake import Intake, Pipeline, Request, Verdict
from vigie_ingest.intakes import INTAKES
from vigie_ingest.responses import Response
from vigie_publishing.errors import ItemError
from vigie_publishing.metric import Sample
from vigie_publishing.series.key import derived_key
from vigie_runtime.errors import BufferFull, ProblemError

from .conftest import Gateway, Reply, build

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "add-an-intake.md"


def followed() -> Intake[Any, Any]:
    """What the how-to's file declares."""
    found = re.search(r"^```python\n(.*?)^```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    module = ModuleType("readings")
    exec(compile(found[1], str(HOW_TO), "exec"), module.__dict__)  # our own page
    return module.INTAKE


DRAFT = followed()


@pytest_asyncio.fixture
async def drafted() -> AsyncIterator[Gateway]:
    made = build(intakes=(*INTAKES, DRAFT))
    yield made
    await made.registrar.close()


def reading(name: str, value: float) -> bytes:
    return struct.pack(">Bd", len(name), value) + name.encode()


async def send(gateway: Gateway, body: bytes, method: str = "POST", **headers: str) -> Reply:
    given = {"content-type": "application/vnd.example.readings"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return await gateway.request(method, DRAFT.path, body, given)


def detail(reply: Reply) -> str:
    """Of an error in the protocol's own form."""
    assert reply.headers["content-type"] == "application/vnd.example.readings"
    assert struct.unpack_from(">H", reply.body)[0] == reply.status
    return reply.body[2:].decode()


async def test_readings_are_on_the_bus_and_the_answer_has_no_body(drafted: Gateway) -> None:
    reply = await send(drafted, reading("a", 1.5) + reading("b", float("nan")) + reading("a", 2.5))
    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers
    assert [value for _, _, value, _ in drafted.publisher.sent] == [1.5, 2.5]
    assert [key.name for key in drafted.catalogue.series.values()] == ["a", "b"]


async def test_its_errors_have_its_own_form(drafted: Gateway) -> None:
    assert "not made of readings" in detail(await send(drafted, b"\x05"))
    assert "value: must be a finite number" in detail(await send(drafted, reading("a", float("inf"))))
    assert "send application/vnd.example.readings" in detail(await send(drafted, b"", content_type="text/plain"))
    refused = await send(drafted, b"", content_encoding="br")
    assert "send one of gzip, zstd, deflate or identity" in detail(refused)
    drafted.publisher.fail = BufferFull(1, 1)
    reply = await send(drafted, reading("a", 1))
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert "buffer is full" in detail(reply)
    drafted.state.resources = None
    assert "starting or stopping" in detail(await send(drafted, b""))


async def test_its_coding_is_its_own(drafted: Gateway) -> None:
    body = zlib.compress(reading("a", 1))
    assert (await send(drafted, body, content_encoding="deflate")).status == 204
    for broken in (zlib.compress(reading("a", 1) * 9)[:-5], body + b"junk"):
        assert "truncated, or goes on after its end" in detail(await send(drafted, broken, content_encoding="deflate"))
    other = await drafted.post("/api/metrics/custom", body, {"content-encoding": "deflate"})
    assert (other.status, other.headers["accept-encoding"]) == (415, "gzip, zstd, identity")


async def test_samples_need_no_valid_names_and_labels_to_be_asked_about(drafted: Gateway) -> None:
    assert drafted.state.resources is not None
    asked = [
        Sample("a b", Kind.GAUGE, (), 1),
        Sample("m", Kind.GAUGE, (("__name__", "x"),), 1),
        Sample("m", Kind.GAUGE, (("z", "1"), ("a", "2"), ("z", "3")), 1),
        Sample("m", Kind.GAUGE, (("z", "1"), ("a", "2")), 1),
        Sample("m", Kind.GAUGE, (("a", "2"), ("z", "1")), 1),
    ]
    series = await drafted.state.resources.pipeline.series.derived("t", asked)
    *wrong, one, same = (series[derived_key("t", sample)] for sample in asked)
    assert [(e.field, e.detail[:14]) for e in wrong if isinstance(e, ItemError)] == [
        ("name", "must start wit"),
        ("labels.__name__", "label names th"),
        ("labels.z", "is there twice"),
    ]
    assert one == same == SeriesKey("t", "m", Kind.GAUGE, (("a", "2"), ("z", "1"))).fingerprint


async def test_an_intake_may_make_the_key_of_a_repeat_from_the_body() -> None:
    async def take(pipeline: Pipeline, request: Request, readings: Any) -> Verdict:
        request.key = request.key or body_key(request.tenant, request.path, request.body)
        return await DRAFT.take(pipeline, request, readings)

    gateway = build(intakes=(replace(DRAFT, take=take),))
    for body in (reading("a", 1), reading("a", 1), reading("a", 2)):
        assert (await send(gateway, body)).status == 204
    one, again, other = (key for *_, key in gateway.publisher.sent)
    assert one == again != other
    assert len(one) == 16
    await gateway.registrar.close()


async def test_a_coding_refuses_what_is_cut_off_goes_on_or_becomes_too_much(drafted: Gateway) -> None:
    body = zlib.compress(reading("a", 1) * 100)
    for bad in (body[:-1], body[:-9], body + b"x", body + body, b"", b"not deflate"):
        reply = await send(drafted, bad, content_encoding="deflate")
        assert reply.status == 400
        assert "deflate" in detail(reply)
    reply = await send(drafted, zlib.compress(bytes(limits.MAX_DECOMPRESSED_BYTES + 1)), content_encoding="deflate")
    assert reply.status == 413
    assert str(limits.MAX_DECOMPRESSED_BYTES) in detail(reply)
    assert drafted.publisher.sent == []


async def test_an_intake_may_take_only_compressed_bodies() -> None:
    gateway = build(intakes=(replace(DRAFT, codings={"deflate": DRAFT.codings["deflate"]}),))
    assert (await send(gateway, zlib.compress(reading("a", 1)), content_encoding="deflate")).status == 204
    for coding, said in ((None, "none"), ("", "none"), ("identity", "'identity'"), ("gzip", "'gzip'")):
        headers = {} if coding is None else {"content_encoding": coding}
        refused = await send(gateway, reading("a", 1), **headers)
        assert (refused.status, refused.headers["accept-encoding"]) == (415, "deflate")
        assert detail(refused) == f"Content-Encoding: {said} is not supported; send deflate"
    described = gateway.app.openapi()["paths"][DRAFT.path]["post"]["parameters"][1]
    assert (described["required"], described["schema"]["enum"]) == (True, ["deflate"])
    await gateway.registrar.close()


async def test_a_repeat_gets_the_same_answer_and_adds_nothing(drafted: Gateway) -> None:
    first = await send(drafted, reading("a", 1), idempotency_key="k")
    again = await send(drafted, reading("a", 1), idempotency_key="k")
    assert (first.status, again.status, again.body) == (204, 204, b"")
    assert (again.headers.get("idempotency-replayed"), again.headers.get("content-type")) == ("true", None)
    assert len(drafted.publisher.sent) == 1


async def test_access_limits_usage_and_metrics_hold_for_it(drafted: Gateway) -> None:
    drafted.tenants.plan = Plan(samples_per_s=10)
    body = reading("a", 1) * 5 + reading("a", float("nan"))
    assert [(await send(drafted, body)).status for _ in range(2)] == [204, 429]
    tally = drafted.usage.tallies["default"]
    assert (tally.requests, tally.samples, tally.rejected, tally.throttled) == (2, 5, 1, 1)
    assert drafted.metric("vigie_ingest_items_accepted_total", route=DRAFT.path) == 5
    assert drafted.metric("vigie_ingest_items_rejected_total", route=DRAFT.path, reason="value") == 1
    assert drafted.metric("vigie_ingest_requests_total", route=DRAFT.path, status="4xx") == 1
    drafted.authenticator.principal = AnonymousRule.parse("telemetry").principal()
    assert (await send(drafted, body)).status == 401


async def test_it_is_described_and_other_methods_are_refused(drafted: Gateway) -> None:
    post = drafted.app.openapi()["paths"][DRAFT.path]["post"]
    assert post["operationId"] == "recordReadings"
    assert {"204", "400", "401", "429", "503"} <= set(post["responses"])
    assert post["parameters"][1]["schema"]["enum"] == ["identity", "gzip", "zstd", "deflate"]
    reply = await send(drafted, b"", method="PUT")
    assert (reply.status, reply.headers["allow"]) == (405, "OPTIONS, POST")


async def test_an_intake_may_take_all_paths_below_one() -> None:
    gateway = build(intakes=(replace(DRAFT, path="/api/metrics/put/*"), DRAFT))
    for path, status in (("/api/metrics/put/any/thing", 204), ("/api/metrics/put", 404), (DRAFT.path, 204)):
        reply = await gateway.request("POST", path, reading("a", 1), {"content-type": DRAFT.check.__globals__["MEDIA"]})
        assert reply.status == status
    assert (await gateway.request("GET", "/api/metrics/put/any/thing")).headers["allow"] == "OPTIONS, POST"
    assert gateway.state.table.rows["POST", "/api/metrics/put/{rest:path}"].permission is DRAFT.admission.permission
    assert "/api/metrics/put/{rest}" in gateway.app.openapi()["paths"]
    await gateway.registrar.close()


async def test_an_intake_of_all_paths_below_one_takes_none_of_a_longer_one() -> None:
    wide, narrow = "/api/metrics/*", "/api/metrics/put/*"
    gateway = build(intakes=(replace(DRAFT, path=wide), replace(DRAFT, path=narrow)))
    for path, route in (("/api/metrics/put/it", narrow), ("/api/metrics/it", wide)):
        await gateway.request("POST", path, reading("a", 1), {"content-type": "application/vnd.example.readings"})
        assert gateway.metric("vigie_ingest_items_accepted_total", route=route) == 1
    await gateway.registrar.close()


async def test_a_bug_in_how_errors_are_written_is_500_as_elsewhere() -> None:
    def bug(error: ProblemError, _path: str, _headers: object) -> Response:
        raise RuntimeError(f"secret {error}")

    for broken in (replace(DRAFT, encode_error=bug), replace(DRAFT, encode=bug)):
        gateway = build(intakes=(broken,))
        media = {"content_type": "text/plain"} if broken.encode_error is bug else {}
        reply = await send(gateway, reading("a", 1), **media)
        assert reply.status == 500
        assert b"secret" not in reply.body
        assert gateway.metric("vigie_ingest_requests_total", route=DRAFT.path, status="5xx") == 1
        assert gateway.app.frame.bodies.held == 0
        await gateway.registrar.close()


async def test_every_intake_is_served_by_the_front_door_and_one_that_is_not_stops_the_start() -> None:
    for intake in (*INTAKES, DRAFT):
        assert service_of(intake.method, intake.path) is Service.INGEST
    for lost in (replace(DRAFT, path="/elsewhere"), replace(DRAFT, method="PUT")):
        with pytest.raises(ValueError, match="add a row for it"):
            build(intakes=(lost,))


async def test_two_intakes_of_the_same_method_and_path_stop_the_start() -> None:
    with pytest.raises(ValueError, match="same method and path"):
        build(intakes=(DRAFT, DRAFT))
