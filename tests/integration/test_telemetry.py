"""Node telemetry from the request to what is kept of it: each report once, whole, and its numbers as samples."""

import asyncio
import csv
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import jwt
import msgspec
import pytest
from bson.codec_options import CodecOptions
from vigie_contracts import names
from vigie_contracts.days import to_datetime
from vigie_contracts.reports import Report
from vigie_contracts.series import to_unsigned
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import REPORTS
from vigie_identity.audit import SYSTEM, Audit
from vigie_identity.tenants import Status, Tenants
from vigie_runtime.clock import SystemClock

from services.aggregator.tests import naive
from tests.chaos import stored
from tests.chaos.ledger import Ledger
from tests.chaos.run import caught_up
from tests.integration import bus
from tests.integration.world import DEADLINE_S, World
from tests.kit import eventually, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

SECRET = "a secret that this test shares with nobody else at all"
OPEN = {
    "VIGIE_JWT_SHARED_SECRET": SECRET,
    "VIGIE_JWT_SHARED_ISSUER": "test",
    "VIGIE_JWT_FOREIGN_PLATFORM_ROLES": "true",
    "VIGIE_ANONYMOUS": "telemetry",
    "VIGIE_RATE_TELEMETRY_PER_MINUTE": "0",  # senders that repeat while gateways die come more often than that
}


async def tenant(one: World) -> str:
    """A new one."""
    clock = SystemClock()
    tenants = Tenants(one.database, Audit(one.database, clock), clock)
    return (await tenants.create(TenantId(unique("node")), unique("Node"), SYSTEM)).id


def body(of: str, n: int, **more: Any) -> dict[str, Any]:
    numbers = {"uptime": n, "activeUsers": n % 50, "exercisesCompletedToday": n % 300, "aiLatency": n % 7 / 4}
    return {"tenantId": of, **numbers, "version": f"1.{n % 3}.0", **more}


def administrator() -> str:
    """A token."""
    since = int(time.time())
    claims = {"iss": "test", "aud": "vigie", "sub": "root", "iat": since, "exp": since + 300, "roles": ["SUPERADMIN"]}
    return jwt.encode(claims, SECRET, "HS256")


async def kept(one: World, of: str) -> dict[str, dict[Any, dict[str, Any]]]:
    """The documents of a tenant, as `naive.documents` has them."""
    database = one.database.with_options(CodecOptions(tz_aware=True))
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    for name, where in (
        ("telemetry_latest", {"_id": of}), ("telemetry_hours", {"tenant": of}), ("telemetry_days", {"tenant": of}),
    ):  # fmt: skip
        documents = [document async for document in database[name].find(where)]
        found[name] = dict(naive.stored(name, document) for document in documents)
    return found


async def exact(one: World, of: str, reports: int) -> list[Report]:
    """Wait until so many distinct reports of the tenant are kept, and compare with what is in the log."""

    async def all_there() -> bool:
        count = await one.database.reports.count_documents({"tenant": of})
        assert count == reports, f"{count} of {reports}"
        return True

    await eventually(all_there, DEADLINE_S)
    logged = [
        msgspec.json.decode(record.value, type=Report)
        for record in await bus.records(one.addresses.kafka, REPORTS.name)
        if record.value and of.encode() in record.value
    ]
    expected = naive.documents(logged, ["UTC"], lambda _: 0)
    found = await kept(one, of)
    assert found == {name: expected[name] for name in found}
    return list({report.id: report for report in logged}.values())


async def samples(one: World, of: str) -> dict[str, tuple[int, float]]:
    """Metric -> how many samples were counted, and their sum."""
    await caught_up(one.database, one.addresses.kafka, DEADLINE_S)
    counts = (await stored.counts(one.database, Ledger(of))).running
    series = {to_unsigned(d["_id"]): d["name"] async for d in one.database.series.find({"tenant": of})}
    return {series[fp]: (running.count, running.sum) for fp, running in counts.items()}


async def test_the_request_of_the_guide_is_kept_whole_and_counted(rough: World) -> None:
    await asyncio.to_thread(rough.use(rough.services.directory, OPEN).start, gateways=1, aggregators=1)
    acme = await tenant(rough)
    sent = {
        "tenantId": acme, "uptime": 86400, "activeUsers": 42, "exercisesCompletedToday": 156, "aiLatency": 247.5,
        "version": "1.2.0",
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=rough.services.gateway_urls[0]) as http:
        answer = await http.post("/telemetry", json=sent)
        assert answer.status_code == 201, answer.text
        assert answer.json()["message"] == "Télémétrie enregistrée avec succès"
        unknown = await http.post("/telemetry", json={**sent, "tenantId": "nobody"})
        assert (unknown.status_code, unknown.json()["message"]) == (404, "there is no such tenant")
        clock = SystemClock()
        tenants = Tenants(rough.database, Audit(rough.database, clock), clock)
        asleep = await tenant(rough)
        await tenants.change(TenantId(asleep), SYSTEM, status=Status.INACTIVE)
        assert (await http.post("/telemetry", json={**sent, "tenantId": asleep})).status_code == 403
        refused = await http.post("/api/metrics/custom", json={"name": "x", "type": "gauge", "value": 1})
        assert refused.status_code == 401, "the default lets nobody write but telemetry"
    (report,) = await exact(rough, acme, 1)
    at = datetime.fromisoformat(answer.json()["timestamp"])
    assert to_datetime(report.timestamp) == at
    document = await rough.database.reports.find_one({"_id": report.id})
    assert document is not None
    assert document["body"] == {name: value for name, value in sent.items() if name != "tenantId"}
    assert await samples(rough, acme) == {
        names.NODE_UPTIME: (1, 86400.0), names.NODE_ACTIVE_USERS: (1, 42.0), names.NODE_EXERCISES: (1, 156.0),
        names.NODE_AI_LATENCY: (1, 247.5),
    }  # fmt: skip


@pytest.mark.fault
async def test_reports_that_are_repeated_until_acknowledged_count_once_though_gateways_and_aggregators_die(
    rough: World,
) -> None:
    services = rough.use(rough.services.directory, OPEN)
    await asyncio.to_thread(services.start, gateways=2, aggregators=1)
    acme = await tenant(rough)
    reports, done = 240, 0

    async def send(n: int) -> None:
        """As a sender that knows of `Idempotency-Key`: again, to any gateway, until it is taken."""
        nonlocal done
        for attempt in range(200):
            url = services.gateway_urls[(n + attempt) % 2]
            try:
                answer = await http.post(f"{url}/telemetry", json=body(acme, n), headers={"Idempotency-Key": f"n-{n}"})
            except httpx.HTTPError:
                await asyncio.sleep(0.1)  # as a sender waits before it repeats
                continue
            if answer.status_code == 201:
                done += 1
                return
            assert answer.status_code in (409, 503), answer.text
            await asyncio.sleep(0.1)
        raise AssertionError("never acknowledged")

    async with httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=20)) as http:
        sending = asyncio.gather(*(send(n) for n in range(reports)))
        for process, share in ((services.gateways[0], 40), (services.aggregators[0], 90), (services.gateways[1], 150)):
            await eventually(lambda share=share: done >= share, DEADLINE_S)
            process.kill()
            await asyncio.to_thread(process.restart)
        await sending
    found = await exact(rough, acme, reports)
    assert {report.body["uptime"] for report in found} == set(range(reports))
    counted = await samples(rough, acme)
    assert {count for count, _ in counted.values()} == {reports}
    assert counted[names.NODE_UPTIME][1] == sum(range(reports))


async def test_history_that_is_imported_twice_also_in_another_form_adds_nothing(rough: World) -> None:
    services = rough.use(rough.services.directory, OPEN)
    await asyncio.to_thread(services.start, gateways=1, aggregators=1)
    acme, globex = await tenant(rough), await tenant(rough)
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(minutes=7 * n) for n in range(600)]
    lines = [
        {**body((acme, globex)[n % 2], n), "timestamp": at.isoformat().replace("+00:00", "Z")}
        for n, at in enumerate(times)
    ]
    old = {**body(acme, 1), "timestamp": (now - timedelta(days=91)).isoformat()}
    foreign = {**body("nobody", 1), "timestamp": now.isoformat()}
    columns = ["tenantId", "uptime", "activeUsers", "exercisesCompletedToday", "aiLatency", "version", "timestamp"]
    table = [",".join(columns)] + [",".join(str(line[name]) for name in columns) for line in lines]
    headers = {"Authorization": f"Bearer {administrator()}"}

    async with httpx.AsyncClient(base_url=services.gateway_urls[0], headers=headers, timeout=60) as http:

        async def bring(content: str, media: str) -> dict[str, Any]:
            answer = await http.post("/api/import/telemetry", content=content, headers={"Content-Type": media})
            assert answer.status_code == 201, answer.text
            return answer.json()

        given = "\n".join(json.dumps(line) for line in [*lines, old, foreign])
        first = await bring(given, "application/x-ndjson")
        assert (first["accepted"], first["repeated"], first["rejected"]) == (600, 0, 2)
        assert [(error["index"], error["field"]) for error in first["errors"]] == [
            (600, "timestamp"),
            (601, "tenantId"),
        ]
        at_once = await bring(given, "application/x-ndjson")  # the aggregator may not have stored them yet
        assert at_once["accepted"] == 600
        await exact(rough, acme, 300)
        await exact(rough, globex, 300)
        later = await bring("\n".join(table), "text/csv")
        assert (later["accepted"], later["repeated"]) == (600, 600)
        for of in (acme, globex):
            await exact(rough, of, 300)
            counted = await samples(rough, of)
            assert {count for count, _ in counted.values()} == {300}
        del http.headers["Authorization"]
        assert (await http.post("/api/import/telemetry", content="{}")).status_code == 401


@pytest.mark.fault
async def test_a_file_whose_import_is_killed_goes_on_and_a_second_run_adds_nothing(
    rough: World, tmp_path: Path
) -> None:
    services = rough.use(tmp_path, OPEN)
    await asyncio.to_thread(services.start, gateways=1, aggregators=1)
    acme = await tenant(rough)
    now = datetime.now(UTC).replace(microsecond=0)
    count = 6_000
    with (tmp_path / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["id", "timestamp", "tenantId", "uptime", "activeUsers", "exercisesCompletedToday", "additionalData"]
        writer.writerow(columns)
        for n in range(count):
            at = (now - timedelta(minutes=5 * n)).isoformat(sep=" ")
            writer.writerow([f"old-{n}", at, acme, n, n % 50, n % 300, json.dumps({"cpuUsage": n % 100})])
        writer.writerow(["late", (now - timedelta(days=400)).isoformat(), acme, 1, 1, 1, ""])

    async def importing() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vigie_standalone", "import", "telemetry", "history.csv",
            "--url", services.gateway_urls[0], "--token", administrator(),
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    killed = await importing()
    await eventually((tmp_path / "history.csv.vigie-import").exists, DEADLINE_S, interval=0.01)  # the first of seven
    killed.kill()
    await killed.wait()
    second = await importing()
    said = (await second.communicate())[0].decode()
    assert second.returncode == 4, said
    assert said.startswith("Going on after "), said
    assert f"line {count + 2}: timestamp: " in said
    reports = await exact(rough, acme, count)
    assert {report.body["uptime"] for report in reports} == set(range(count))
    third = await importing()
    said = (await third.communicate())[0].decode()
    assert f"0 lines imported, {count:,} were there before, 1 refused." in said
    await exact(rough, acme, count)
    assert {counted for counted, _ in (await samples(rough, acme)).values()} == {count}
