"""What another user of the machine, who can reach the loopback and list processes, gets from a running `vigie up`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from vigie_standalone.embedded.kafka_probe import brokers_registered

from tests.e2e.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]


def address(vigie: Up, server: str) -> tuple[str, str, int]:
    """URL with the login, host and port."""
    url = vigie.run_file()["servers"][server]["url"]
    found = re.search(r"([\d.]+):(\d+)", url)
    assert found
    return url, found[1], int(found[2])


def secrets_of(vigie: Up) -> set[str]:
    """All that was made up for this data directory."""
    home = vigie.directory / "home"
    files = [*home.glob("servers/*/password"), *home.glob("servers/*/key"), *home.glob("secrets/*")]
    assert len(files) >= 5
    return {path.read_text().strip() for path in files}


def test_nothing_in_the_data_directory_is_readable_by_others(vigie: Up) -> None:
    def everything(directory: Path) -> Iterator[Path]:
        yield directory
        yield from directory.rglob("*")

    home = vigie.directory / "home"
    modes = {path: path.lstat().st_mode for path in everything(home) if path.exists()}
    assert len(modes) > 100
    assert [f"{path} {mode:o}" for path, mode in modes.items() if mode & 0o077] == []


def test_no_secret_is_in_a_command_line_or_a_log(vigie: Up) -> None:
    secrets = secrets_of(vigie)
    commands = [" ".join(process.cmdline()) for process in vigie.processes()]
    assert len(commands) >= 6
    logs = [path.read_text(errors="replace") for path in vigie.directory.rglob("*.log") if path.is_file()]
    said = [vigie.output(), vigie.vigie("status").stdout]
    assert "vigie:***@" in said[0]
    for text in (*commands, *logs, *said):
        assert not [secret for secret in secrets if secret in text]


def test_no_server_lets_a_stranger_in(vigie: Up) -> None:
    _, host, port = address(vigie, "redis")
    for stranger in (Redis(host, port, protocol=2), Redis(host, port, username="vigie", password="guess")):
        with stranger, pytest.raises(AuthenticationError):
            stranger.config_set("dir", "/tmp")

    _, host, port = address(vigie, "mongodb")
    with MongoClient(host, port, directConnection=True) as client:
        for command in ({"find": "users"}, {"listCollections": 1}, {"createUser": "x", "pwd": "x", "roles": ["root"]}):
            for database in (client.vigie, client.admin):
                with pytest.raises(OperationFailure, match="requires authentication"):
                    database.command(command)

    _, host, port = address(vigie, "kafka")
    assert brokers_registered(host, port) == 0
    assert brokers_registered(host, port, ("vigie", "guess")) == 0
    known = vigie.run_file()["servers"]["kafka"]["password"]
    assert brokers_registered(host, port, ("vigie", known)) == 1


def test_services_user_may_not_configure_the_servers(vigie: Up) -> None:
    url, _, _ = address(vigie, "redis")
    forbidden = ["CONFIG SET dir /tmp", "CONFIG GET dir", "SAVE", "BGSAVE", "DEBUG SLEEP 0", "MODULE LIST", "FLUSHALL"]
    forbidden += ["REPLICAOF a 1", "SLAVEOF a 1", "SHUTDOWN", "SCRIPT DEBUG YES", "SCRIPT FLUSH", "ACL LIST", "KEYS *"]
    forbidden += ["MIGRATE a 1 k 0 1", "MONITOR", "SYNC", "PSYNC a 1"]
    with Redis.from_url(url) as client:
        for command in forbidden:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())
        assert client.eval("return redis.call('EXISTS', KEYS[1])", 1, "vigie:nothing") == 0  # what the limits need

    url, _, _ = address(vigie, "mongodb")
    with MongoClient(url) as client:
        for command in ("replSetGetConfig", "shutdown", "getCmdLineOpts"):
            with pytest.raises(OperationFailure, match="not authorized"):
                client.admin.command(command)
        for work in (lambda: client.other.x.insert_one({}), client.admin.system.users.find_one):
            with pytest.raises(OperationFailure, match="not authorized"):
                work()
        with pytest.raises(OperationFailure, match="no globalScriptEngine"):
            client.vigie.x.find_one({"$where": "true"})


def test_commands_of_the_owner_log_in_by_themselves(vigie: Up) -> None:
    for words in (["dead", "list"], ["tenant", "list"]):
        done = vigie.vigie(*words)
        assert done.returncode == 0, done.stderr
