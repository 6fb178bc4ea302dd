"""The doctor says what is wrong and what to do, of servers that are well, badly set up, or away."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vigie_contracts.topics import DEAD, RULES, SAMPLES
from vigie_runtime.bus.inspection import ClusterFacts, TopicFacts
from vigie_standalone.backup.connecting import settings
from vigie_standalone.cli import app
from vigie_standalone.doctor import kafka, mongodb, redis
from vigie_standalone.doctor.commands import in_words
from vigie_standalone.doctor.findings import Finding, Level, clock, space
from vigie_standalone.doctor.machine import directory, front_door, packages
from vigie_standalone.embedded.servers import Server, Servers, variables
from vigie_storage.inspection import DatabaseFacts

HELLO = {"setName": "rs0", "hosts": ["a", "b", "c"]}
BUILD = {"version": "6.0.5", "versionArray": [6, 0, 5, 0]}


def _database(**changed: object) -> DatabaseFacts:
    whole = {
        "hello": HELLO, "build": BUILD, "stats": {}, "ahead_s": 0.0, "missing": [], "partitions": {}, "unfinished": "",
    }  # fmt: skip
    return DatabaseFacts(**(whole | changed))  # pyright: ignore[reportArgumentType]


def _problems(found: list[Finding]) -> dict[str, Level]:
    return {one.text: one.level for one in found if one.level is not Level.OK}


def test_a_database_that_is_well_has_no_problem() -> None:
    assert _problems(list(mongodb.judged(_database(stats={"fsTotalSize": 100.0, "fsUsedSize": 50.0})))) == {}


@pytest.mark.parametrize(
    ("changed", "text", "level"),
    [
        ({"hello": {"hosts": []}}, "is no replica set", Level.FAILED),
        ({"hello": {"setName": "rs0", "hosts": ["a"]}}, "replica set rs0 of 1 member", Level.WARNING),
        ({"build": {"version": "4.4.29", "versionArray": [4, 4]}}, "version 4.4.29 is older than 5.0", Level.FAILED),
        ({"ahead_s": -5.0}, "its clock is 5.0 s behind this machine's", Level.WARNING),
        ({"ahead_s": 90.0}, "its clock is 90.0 s ahead of this machine's", Level.FAILED),
        ({"missing": ["series: lv"]}, "1 are missing: series: lv", Level.WARNING),
        ({"unfinished": "half"}, "half", Level.FAILED),
        (
            {"stats": {"fsTotalSize": 2.0**30 * 100, "fsUsedSize": 2.0**30 * 98}},
            "2.0 of 100.0 GiB are free (2%)",
            Level.FAILED,
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_database_is_said(changed: dict[str, object], text: str, level: Level) -> None:
    assert _problems(list(mongodb.judged(_database(**changed)))) == {text: level}


def _topic(**changed: object) -> TopicFacts:
    config = {**SAMPLES.config, "min.insync.replicas": "2", "cleanup.policy": "delete"}
    whole = {"partitions": 12, "replicas": 3, "leaderless": 0, "behind": 0, "config": config}
    return TopicFacts(**(whole | changed))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("topic", "recorded", "problems"),
    [
        (_topic(), 12, {}),
        (_topic(config={"retention.ms": "-1", "min.insync.replicas": "2"}), 12, {}),
        (_topic(partitions=24), 12, {"has 24 partitions, and MongoDB has 12 recorded": Level.FAILED}),
        (_topic(leaderless=2, behind=2), 12, {"2 partitions have no leader": Level.FAILED}),
        (_topic(behind=1), 12, {"of 1 partitions a replica is not in sync": Level.WARNING}),
        (_topic(replicas=1), 12, {"1 replicas on 3 brokers": Level.WARNING}),
        (
            _topic(config={"retention.ms": "1000", "min.insync.replicas": "1"}),
            12,
            {"min.insync.replicas is 1": Level.WARNING, "retention.ms is 1000, and not 604800000": Level.WARNING},
        ),
        (None, 12, {"is not there any more": Level.FAILED}),
        (None, None, {"is not there": Level.WARNING}),
    ],
)
def test_what_is_wrong_with_a_topic_is_said(
    topic: TopicFacts | None, recorded: int | None, problems: dict[str, Level]
) -> None:
    facts = ClusterFacts("cluster", 3, {SAMPLES.name: topic} if topic else {})
    assert _problems(list(kafka.judged(SAMPLES, facts, recorded))) == problems


def test_a_compacted_topic_that_is_not_compacted_is_said() -> None:
    facts = ClusterFacts("cluster", 1, {RULES.name: _topic(replicas=1, config={"cleanup.policy": "delete"})})
    assert _problems(list(kafka.judged(RULES, facts, 12))) == {
        "cleanup.policy is delete, and not compact": Level.WARNING
    }


@pytest.mark.parametrize(
    ("info", "problems"),
    [
        ({"redis_version": "7.2.4", "maxmemory_policy": "volatile-lru", "maxmemory": 0}, {}),
        ({}, {}),
        ({"redis_version": "5.0.7"}, {"version 5.0.7 is too old": Level.FAILED}),
        ({"redis_version": "7.2.4", "maxmemory_policy": "allkeys-lru"}, {"evicts by allkeys-lru": Level.WARNING}),
        (
            {"redis_version": "7.2.4", "maxmemory": 1 << 20, "used_memory": (1 << 20) - 1},
            {"more than 90 % of its 1 MiB are used": Level.WARNING},
        ),
    ],
)
def test_what_is_wrong_with_redis_is_said(info: dict[str, object], problems: dict[str, Level]) -> None:
    assert _problems(redis.judged(info)) == problems


def test_a_directory_that_others_may_read_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert "is its owner's alone" in [one.text for one in directory(tmp_path)]
    tmp_path.chmod(0o755)
    assert _problems([one for one in directory(tmp_path) if "free" not in one.text]) == {
        "other users may read it": Level.WARNING
    }
    assert list(directory(tmp_path / "none")) == []


def test_small_differences_of_clocks_are_no_problem() -> None:
    assert [clock("x", ahead).level for ahead in (0.0, 1.9, -1.9, 2.1, -29, 31)] == [
        Level.OK, Level.OK, Level.OK, Level.WARNING, Level.WARNING, Level.FAILED,
    ]  # fmt: skip
    assert [space("x", free, 100).level for free in (15, 14, 2)] == [Level.OK, Level.WARNING, Level.FAILED]


def test_a_front_door_that_nobody_opens_is_said() -> None:
    [found] = front_door("http://127.0.0.1:9")
    assert (found.level, found.what) == (Level.FAILED, "front door http://127.0.0.1:9")


def test_what_is_installed_is_of_one_version() -> None:
    assert packages().level is Level.OK


def test_without_any_server_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    ran = CliRunner().invoke(app, ["doctor", "--json", "--data-dir", str(tmp_path / "none")])
    assert ran.exit_code == 1
    [failed] = [one for one in json.loads(ran.stdout) if one["level"] == "failed"]
    assert "No MongoDB is known" in failed["text"]


@pytest.mark.timeout(200)
async def test_servers_that_are_there_and_away_are_told_apart(own_servers: Servers) -> None:
    known = settings(variables(own_servers.start()) | {"VIGIE_PARTITIONS": "12"})
    found = await kafka.examine(known, {})
    assert _problems([one for one in found if one.what == "kafka"]) == {found[0].text: Level.WARNING}  # one broker
    assert {one.text for one in found[1:]} == {"is not there"}
    assert _problems(await redis.examine(known)) == {}
    own_servers.stop()
    [away] = await kafka.examine(known, {})
    assert (away.level, away.what) == (Level.FAILED, "kafka")
    [gone] = await redis.examine(known)
    assert (gone.level, gone.what) == (Level.FAILED, "redis")
    words = in_words([away, gone])
    assert words.endswith("2 failed, 0 warnings, 2 looked at")
    assert str(known.redis_url) not in words
    assert os.environ.get("HOME", "?") not in words
    assert DEAD.name not in words
    assert Server.KAFKA in words
