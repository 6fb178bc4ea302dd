"""`vigie import supervision`: a dump of the replaced system, read line by line, put in order, and sent once."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from typer import BadParameter
from vigie_standalone.history.patience import ImportFailedError
from vigie_standalone.history.progress import SUFFIX
from vigie_standalone.history.reading import LINE_BYTES, FileError
from vigie_standalone.importing import _ms
from vigie_standalone.supervision.dump import Collection, found
from vigie_standalone.supervision.extended import UnreadableError, document
from vigie_standalone.supervision.run import EXIT_REFUSED, Wanted, bring

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
SHOP, BLOG = "65f000000000000000000001", "65f000000000000000000002"
ADA, BOB = "65f000000000000000000011", "65f000000000000000000012"
API = "65f000000000000000000021"


def oid(text: str) -> dict[str, str]:
    return {"$oid": text}


def at(seconds: float) -> dict[str, str]:
    return {"$date": (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def server(seconds: float, percent: float = 42.5, **more: Any) -> dict[str, Any]:
    return {
        "_id": oid("65f1"), "timestamp": at(seconds),
        "cpu": {"percent": percent, "cores": 8, "model": "Xeon", "loadAvg": {"one": 1, "five": 2, "fifteen": 3.5}},
        "memory": {"total": {"$numberLong": "16000000000"}, "used": 8e9, "free": 8e9, "percent": 50},
        "disk": {"total": 100, "used": 40, "free": 60, "percent": 40}, "network": {"bytesIn": 1, "bytesOut": 2},
        "totals": {"sites": 2, "services": 3, "users": 4, "servicesRunning": 2}, **more,
    }  # fmt: skip


def site_stats(seconds: float, site: str = SHOP, **more: Any) -> dict[str, Any]:
    return {
        "site": oid(site), "timestamp": at(seconds), "cpu": {"percent": 150.5, "timeMs": 12},
        "memory": {"usedBytes": 1000, "percent": 1, "limit": None},
        "disk": {"usedBytes": 5, "percent": None, "limit": 0, "fileCount": 7},
        "services": {"total": 2, "running": 1, "stopped": 1, "failed": 0}, **more,
    }  # fmt: skip


def alert(number: int, status: str = "resolved", **more: Any) -> dict[str, Any]:
    over = {"resolvedAt": at(60 * number + 30)} if status == "resolved" else {}
    return {
        "_id": oid(f"65f2{number}"), "type": "service_down", "severity": "error", "message": "api is stopped",
        "site": oid(SHOP), "service": oid(API), "status": status, "createdAt": at(60 * number), **over, **more,
    }  # fmt: skip


def write(directory: Path, **collections: list[Any]) -> Path:
    directory.mkdir(exist_ok=True)
    for name, documents in collections.items():
        text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in documents)
        (directory / f"{name}.json").write_text(text)
    return directory


def whole(directory: Path) -> Path:
    return write(
        directory,
        monitoringconfigs=[{
            "_id": "monitoring_config", "collectionInterval": 30, "retentionHours": {"$numberInt": "48"},
            "alertThresholds": {"cpu": {"warning": 60, "critical": 80}}, "mail": "x",
        }],
        sites=[
            {"_id": oid(SHOP), "name": "shop", "linuxUser": "shop", "portRange": {"start": 3000, "end": 3009},
             "domains": [{"domain": "shop.example.com"}], "users": [oid(BOB)]},
            {"_id": oid(BLOG), "name": "blog", "account": "blog", "directory": "/srv/blog", "ports": [4000]},
        ],
        services=[{"_id": oid(API), "name": "api", "site": oid(SHOP)}],
        users=[
            {"_id": oid(ADA), "username": "ada", "role": "user", "assignedSites": [oid(BLOG)]},
            {"_id": oid(BOB), "username": "bob", "role": "user"},
            {"_id": oid("65f3"), "username": "root", "role": "admin"},
            {"_id": oid("65f4"), "username": "eve", "sites": [oid(SHOP)]},
        ],
        alerts=[alert(1, acknowledgedBy=oid(ADA)), alert(2), alert(3, "acknowledged", acknowledgedBy=oid(ADA)),
                alert(4, "active", type="cpu_high", site=None, service=None), alert(5, severity="awful")],
        serverstats=[server(30 * n) for n in range(10)],
        sitestats=[one for n in range(10) for one in (site_stats(30 * n + 1), site_stats(30 * n + 2, BLOG))],
    )  # fmt: skip


class Vigie:
    """Judges and remembers as the real one does."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"retentionHours": 24, "collectionInterval": 30}
        self.sites: dict[str, dict[str, Any]] = {}
        self.users = {name: {"id": f"u-{name}", "name": name.upper(), "sites": []} for name in ("ada", "bob")}
        self.alerts: dict[str, dict[str, Any]] = {}
        self.firing = [{"id": "f1", "type": "service_down", "site": SHOP, "service": "twoine-shop-api",
                        "status": "active"}]  # fmt: skip
        self.reports: dict[int, dict[str, Any]] = {}
        self.requests: list[httpx2.Request] = []
        self.stop_after = 10**9

    def __call__(self, request: httpx2.Request) -> httpx2.Response:  # noqa: PLR0912 - routes
        self.requests.append(request)
        if len(self.requests) > self.stop_after:
            return httpx2.Response(401, json={"message": "the token is over"})
        body = request.content
        said = json.loads(gzip.decompress(body) if request.headers.get("content-encoding") else body or b"null")
        match request.method, request.url.path.split("/")[1:]:
            case "GET", ["stats", "config"]:
                return httpx2.Response(200, json=self.config)
            case "PUT", ["stats", "config"]:
                self.config |= said
                return httpx2.Response(200, json=self.config)
            case "POST", ["api", "sites"]:
                if said["id"] in self.sites:
                    return httpx2.Response(409, json={"message": "there is a site already"})
                self.sites[said["id"]] = said
                return httpx2.Response(201, json=said)
            case "GET", ["api", "sites", site]:
                return httpx2.Response(200, json=self.sites[site])
            case "GET", ["admin", "tenants", "default", "users"]:
                return httpx2.Response(200, json={"users": list(self.users.values()), "nextCursor": None})
            case "PUT", ["admin", "tenants", "default", "users", user, "sites", site]:
                self.users[user.removeprefix("u-")]["sites"].append(site)
                return httpx2.Response(200, json={})
            case "POST", ["api", "alerts", "import"]:
                repeats = [n for n, one in enumerate(said["alerts"]) if one["id"] in self.alerts]
                self.alerts |= {one["id"]: one for one in said["alerts"]}
                return httpx2.Response(200, json={"repeats": repeats, "errors": []})
            case "GET", ["stats", "alerts"]:
                return httpx2.Response(200, json={"alerts": self.firing, "nextCursor": None})
            case "POST", ["stats", "alerts", "f1", "acknowledge"]:
                self.firing[0] |= {"status": "acknowledged", "note": said["note"]}
                return httpx2.Response(200, json={})
            case "POST", ["api", "hosts", "reports"]:
                assert len(said) <= 100
                for one in said:
                    self.reports.setdefault(one["timestamp"], one)
                return httpx2.Response(201, json={"accepted": len(said), "rejected": 0, "errors": []})
            case asked:
                raise AssertionError(asked)


def run(
    directory: Path, answer: Callable[[httpx2.Request], httpx2.Response], report: Path | None = None, **options: Any
) -> tuple[int, list[str]]:
    out = io.StringIO()
    client = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://vigie")
    wanted = Wanted("web-1", "default", **options)
    try:
        code = bring(found([directory]), wanted, client, Console(file=out, width=300), report, sleep=lambda _: None)
    except ImportFailedError as error:
        return 1, [*out.getvalue().splitlines(), str(error)]
    return code, out.getvalue().splitlines()


def test_everything_arrives_and_what_does_not_is_told_with_its_line(tmp_path: Path) -> None:
    vigie, dump = Vigie(), whole(tmp_path / "dump")
    code, said = run(dump, vigie, tmp_path / "report", whole=True)
    assert code == EXIT_REFUSED
    assert said == [
        "services.json:1: left out: is twoine-shop-api here: agents find services by themselves",
        "users.json:3: left out: root is assigned to no site",
        "users.json:4: refused: there is no user eve in Vigie: make one (passwords cannot be brought along)",
        "alerts.json:4: left out: was not over in the replaced system, and does not fire in Vigie",
        "alerts.json:5: refused: severity: 'awful' is none of info, low, warning, medium, high, error, critical",
        "monitoringconfigs: mail has no counterpart in Vigie",
        "alerts.json: 5 lines, 3 taken, 1 left out, 1 refused",
        "monitoringconfigs.json: 1 lines, 1 taken",
        "serverstats.json: 10 lines, 10 taken",
        "services.json: 1 lines, 1 left out",
        "sites.json: 2 lines, 2 taken",
        "sitestats.json: 20 lines, 20 taken",
        "users.json: 4 lines, 2 taken, 1 left out, 1 refused",
    ]
    assert [json.loads(line)["line"] for line in (tmp_path / "report").read_text().splitlines()] == [1, 3, 4, 4, 5]
    assert (vigie.config["retentionHours"], vigie.config["alertThresholds"]["cpu"]["warning"]) == (48, 60)
    assert vigie.sites[SHOP] == {
        "id": SHOP, "host": "web-1", "name": "shop", "account": "shop", "directory": "/var/www/sites/shop",
        "ports": [{"from": 3000, "to": 3009}], "domains": ["shop.example.com"],
    }  # fmt: skip
    assert (vigie.sites[BLOG]["directory"], vigie.sites[BLOG]["ports"]) == ("/srv/blog", [{"from": 4000, "to": 4000}])
    assert (vigie.users["ada"]["sites"], vigie.users["bob"]["sites"]) == ([BLOG], [SHOP])
    assert vigie.alerts["65f21"] == {
        "id": "65f21", "type": "service_down", "severity": "error", "host": "web-1", "site": SHOP,
        "service": "twoine-shop-api", "message": "api is stopped", "createdAt": "2026-11-30T12:01:00+00:00",
        "resolvedAt": "2026-11-30T12:01:30+00:00", "acknowledgedBy": "ada",
    }  # fmt: skip
    assert vigie.firing[0]["note"] == "acknowledged by ada in the replaced system"
    assert len(vigie.reports) == 10
    one = next(iter(vigie.reports.values()))
    assert (one["host"], one["interval"], one["cpu"]["percent"]) == ("web-1", 30, 42.5)
    assert one["memory"]["total"] == 16_000_000_000
    assert [site["site"] for site in one["sites"]] == [SHOP, BLOG]
    assert "limit" not in one["sites"][0]["disk"], "none"


def test_the_same_dump_again_changes_nothing_and_a_dry_run_asks_nobody(tmp_path: Path) -> None:
    vigie, dump = Vigie(), whole(tmp_path / "dump")
    _, judged = run(dump, vigie, dry_run=True, whole=True)
    assert vigie.requests == []
    assert judged[-1] == "Nothing was sent."
    assert "serverstats.json: 10 lines, 10 taken" in judged
    run(dump, vigie, whole=True)
    before = json.dumps([vigie.config, vigie.sites, vigie.users, vigie.alerts, vigie.firing, vigie.reports])
    _, said = run(dump, vigie, whole=True)
    assert json.dumps([vigie.config, vigie.sites, vigie.users, vigie.alerts, vigie.firing, vigie.reports]) == before
    assert "sites.json: 2 lines, 2 there before" in said
    assert "alerts.json: 5 lines, 3 there before, 1 left out, 1 refused" in said


def test_an_import_that_was_stopped_goes_on_there(tmp_path: Path) -> None:
    vigie = Vigie()
    dump = write(tmp_path / "dump", serverstats=[server(30 * n) for n in range(450)])
    vigie.stop_after = 2
    code, said = run(dump, vigie)
    assert code == 1
    assert said[-2:] == [
        "Not complete. The same command goes on here.",
        "Stopped at the statistics of "
        + (BEGIN + timedelta(seconds=6000)).astimezone().isoformat()
        + ": 401 the token is over. Set VIGIE_TOKEN to the access token of an ADMIN of the tenant, and run the same "
        "command again.",
    ]
    assert len(vigie.reports) == 200
    vigie.stop_after = 10**9
    asked = len(vigie.requests)
    code, said = run(dump, vigie)
    assert (code, said[0]) == (0, "Going on where it stopped; --from-start begins anew.")
    assert len(vigie.requests) - asked == 3, "and not what has arrived"
    assert len(vigie.reports) == 449, "the newest collection may be there in part"
    assert "serverstats.json: 450 lines, 249 taken, 200 there before, 1 left out" in said
    assert not (dump / f"serverstats.json{SUFFIX}").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[1", "is one JSON array"),
        ("null", "is no document"),
        ('{"timestamp": {"$date": "2026-01-01T00:00:00"}}', "has no zone"),
        ('{"timestamp": {"$date": {"$numberLong": "99999999999999999"}}}', "is not extended JSON"),
        ('{"timestamp": 5}', "timestamp: is no date"),
        ("{}", "timestamp: is missing"),
        (json.dumps(server(0, 101)), "cpu.percent: Expected `float` <= 100"),
        (json.dumps(server(0, cpu={"percent": "42"})), "cpu.percent: is no number"),
        (json.dumps(server(0, memory=5)), "memory: is no object"),
        (json.dumps(server(0, disk={"total": -1})), "disk.total: Expected `int` >= 0"),
        ("x" * (LINE_BYTES + 10), "is longer than"),
        ('{"a": ' * 5_000, "is"),
    ],
)
def test_a_line_that_is_wrong_is_refused_and_the_rest_is_taken(tmp_path: Path, text: str, reason: str) -> None:
    dump = write(tmp_path / "dump", serverstats=[text, server(30), "", server(60), server(60)])
    if reason == "is one JSON array":
        with pytest.raises(FileError, match=reason):
            run(dump, Vigie(), whole=True)
        return
    vigie = Vigie()
    code, said = run(dump, vigie, whole=True)
    assert code == EXIT_REFUSED
    assert said[0].startswith("serverstats.json:1: refused: ")
    assert reason in said[0]
    assert said[1] == "serverstats.json:5: refused: timestamp: line 4 speaks of the same time"
    assert len(vigie.reports) == 2


def test_files_are_known_by_their_names_and_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, **{"twoine.serverstats": [server(0)], "sessions": [{}], "ServerStats": [server(0)]})
    with pytest.raises(FileError, match="both the collection serverstats"):
        found([tmp_path])
    (tmp_path / "ServerStats.json").unlink()
    dump = found([tmp_path])
    assert dump.files == {Collection.SERVER_STATS: tmp_path / "twoine.serverstats.json"}
    assert dump.others == [tmp_path / "sessions.json"]
    with pytest.raises(FileError, match="no collection of the replaced system"):
        found([tmp_path / "sessions.json"])


def test_extended_json_of_both_forms_is_read() -> None:
    relaxed = document(
        b'{"a": {"$oid": "65"}, "b": {"$date": "2026-01-01T00:00:00.5Z"}, "c": [1.5, {"$numberLong": "7"}]}'
    )
    assert relaxed == {"a": "65", "b": datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC), "c": [1.5, 7]}
    canonical = document(b'{"b": {"$date": {"$numberLong": "1767225600500"}}, "d": {"$numberDouble": "NaN"}}')
    assert canonical == {"b": relaxed["b"], "d": None}
    for wrong in (b'{"a": {"$numberLong": "x"}}', b'{"a": {"$oid": 5}}', b'{"a": {"$date": true}}', b"\xff"):
        with pytest.raises(UnreadableError):
            document(wrong)


def test_what_the_agent_has_said_itself_is_left_out(tmp_path: Path) -> None:
    dump = write(
        tmp_path / "dump",
        serverstats=[server(30 * n) for n in range(10)],
        sitestats=[site_stats(30 * n + 1) for n in range(10)],
    )
    vigie, until = Vigie(), BEGIN + timedelta(seconds=120)
    code, said = run(dump, vigie, whole=True, until_ms=round(until.timestamp() * 1000))
    assert (code, len(vigie.reports)) == (0, 4)
    assert max(vigie.reports) < until.timestamp() * 1000
    assert said[-2:] == [
        "serverstats.json: 10 lines, 4 taken, 6 left out", "sitestats.json: 10 lines, 4 taken, 6 left out",
    ]  # fmt: skip
    for wrong in ("noon", "2026-01-31T12:00:00"):
        with pytest.raises(BadParameter, match="is no time with a zone"):
            _ms(wrong)


def test_what_is_more_than_a_second_allows_is_sent_in_smaller_requests(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump", serverstats=[server(30 * n) for n in range(60)])
    vigie, sizes = Vigie(), list[int]()

    def answer(request: httpx2.Request) -> httpx2.Response:
        said = json.loads(gzip.decompress(request.content))
        sizes.append(len(said))
        if len(said) > 20:
            return httpx2.Response(429, headers={"retry-after": "1"}, json={"message": "in several requests"})
        if len(said) == 15:  # one of each is not taken
            error = {"index": 14, "field": "timestamp", "reason": "is too old"}
            vigie(request)
            return httpx2.Response(201, json={"accepted": 14, "rejected": 1, "errors": [error]})
        return vigie(request)

    code, said = run(dump, answer, whole=True)
    assert code == EXIT_REFUSED
    assert sizes == [60, 30, 15, 15, 30, 15, 15]
    assert [one.split(":")[1] for one in said[:4]] == ["15", "30", "45", "60"]
    assert said[-1] == "serverstats.json: 60 lines, 56 taken, 4 refused"


def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    peaks: list[int] = []
    for times in (50, 200):
        dump = write(tmp_path / str(times), serverstats=[server(30 * n) for n in range(times)])
        some = [json.dumps(site_stats(30 * n + 1, f"site{site}")) for n in range(times) for site in range(50)]
        (dump / "sitestats.json").write_text("\n".join(some))
        del some
        tracemalloc.start()
        code, said = run(dump, lambda _: httpx2.Response(201, json={"accepted": 1, "rejected": 0}), whole=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert code == 0, said
        assert f"sitestats.json: {50 * times:,} lines, {50 * times:,} taken" in said
    assert peaks[1] < 1.5 * peaks[0], peaks
