"""The agent as a whole, against a front door that comes and goes."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from vigie_agent import configuration, log, settings
from vigie_agent.app import Agent
from vigie_agent.cli import EXIT_FAILED, EXIT_NOT_RUNNING, run
from vigie_agent.errors import AgentError
from vigie_agent.state import StateDirectory

from services.agent.tests.gateway import Gateway, gateway
from tests.kit.wait import eventually, eventually_sync

WAIT_S = 40.0


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr(configuration, "MIN_INTERVAL_S", 0.02)
    with gateway() as found:
        found.configuration = {"collectionInterval": 0.05}
        yield found


def own_settings(url: str, directory: Path) -> settings.AgentSettings:
    return settings.load({}, url=url, host="web-1", state_dir=str(directory))


async def until(reached: Callable[[], bool]) -> None:
    await eventually(reached, WAIT_S, interval=0.01)


@asynccontextmanager
async def running(url: str, directory: Path) -> AsyncIterator[Agent]:
    state = StateDirectory(directory)
    state.claim()
    agent = Agent(own_settings(url, directory), "vk_x", state)
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        agent.stop()
        await task
        state.release()


async def test_reports_arrive_each_interval_and_the_interval_changes_while_it_runs(
    tmp_path: Path, door: Gateway
) -> None:
    async with running(door.url, tmp_path):
        await until(lambda: len(door.reports) >= 5)
        assert 304 in door.asked
        door.configuration, door.etag = {"collectionInterval": 0.03, "sites": [{"id": "s1", "account": "root"}]}, '"2"'
        await until(lambda: any(one["interval"] == 0.03 for one in door.reports.values()))
        await until(lambda: any(one["sites"] for one in door.reports.values()))
    times = [one["timestamp"] for one in door.reports.values()]
    assert len(times) == len(set(times))
    assert {one["agent"]["instance"] for one in door.reports.values()} == {(tmp_path / "instance").read_text().strip()}


async def test_what_was_collected_while_nobody_listened_arrives_exactly(tmp_path: Path, door: Gateway) -> None:
    collected: list[int] = []
    async with running(door.url, tmp_path) as agent:
        door.script.extend([503] * 3)
        await until(lambda: len(door.reports) >= 3)
    before = set(door.reports)
    away = own_settings("http://127.0.0.1:9", tmp_path)
    state = StateDirectory(tmp_path)
    state.claim()
    offline = Agent(away, "vk_x", state)
    task = asyncio.create_task(offline.run())
    await until(lambda: len(list((tmp_path / "spool").glob("*.z"))) >= 8)
    offline.stop()
    await task
    state.release()
    collected = sorted(int(file.stem) for file in (tmp_path / "spool").glob("*.z"))
    async with running(door.url, tmp_path):
        await until(lambda: {("web-1", one) for one in collected} <= set(door.reports))
    assert before <= set(door.reports)
    assert agent is not offline
    assert max(one["agent"]["buffered"] for one in door.reports.values()) >= 8


async def test_the_kept_configuration_holds_without_a_network(tmp_path: Path, door: Gateway) -> None:
    door.configuration = {"collectionInterval": 0.05, "sites": [{"id": "s1", "account": "root"}]}
    async with running(door.url, tmp_path):
        await until(lambda: any(one["sites"] for one in door.reports.values()))
    found = configuration.ConfigurationClient(None, "web-1", tmp_path / "configuration.json", 30)  # type: ignore[arg-type]
    assert [site.id for site in found.current.sites] == ["s1"]
    (tmp_path / "configuration.json").write_text("{broken")
    again = configuration.ConfigurationClient(None, "web-1", tmp_path / "configuration.json", 45)  # type: ignore[arg-type]
    assert again.current.interval_s == 45


@pytest.mark.parametrize("wrong", [[], {"collectionInterval": -5}, {"sites": "all"}, {"sites": [{"id": "../x"}]}])
async def test_a_configuration_that_makes_no_sense_changes_nothing(tmp_path: Path, door: Gateway, wrong: Any) -> None:
    async with running(door.url, tmp_path):
        await until(lambda: len(door.reports) >= 1)
        door.configuration, door.etag = wrong, '"2"'
        count = len(door.reports)
        await until(lambda: len(door.reports) >= count + 4)
    assert {one["interval"] for one in door.reports.values()} == {0.05}


@pytest.mark.parametrize(("asked", "given"), [(1, 10), (30, 30), (5_000, 300)])
def test_the_interval_stays_within_its_bounds(asked: float, given: float) -> None:
    assert configuration.Configuration(collection_interval=asked).interval_s == given


async def test_a_disk_that_takes_nothing_does_not_end_the_agent(
    tmp_path: Path, door: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where the spool should be")
    with caplog.at_level(logging.WARNING):
        async with running(door.url, tmp_path):
            await until(lambda: len(door.reports) >= 4)
    assert "wait in memory" in caplog.text
    assert any(said["what"] == "agent.spool" for one in door.reports.values() for said in one["agent"]["unavailable"])


def test_two_agents_do_not_share_a_directory(tmp_path: Path) -> None:
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.claim()
    with pytest.raises(AgentError, match="another agent runs on it"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_a_killed_agent_loses_no_report_and_status_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "VIGIE_URL": "http://127.0.0.1:9", "VIGIE_AGENT_STATE_DIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "vigie_agent", "run"], env=environment, stdout=subprocess.PIPE)
    arguments = ["status", "--state-dir", str(tmp_path)]
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "reports cannot be sent" in json.loads(line)["message"]:
                break
        eventually_sync(lambda: "Connection refused" in (tmp_path / "status.json").read_text())
        code = run(arguments)
        told = capsys.readouterr().out
        assert (code, f"runs as process {process.pid}" in told) == (EXIT_FAILED, True)
        assert "Connection refused" in told
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
    assert run(arguments) == EXIT_NOT_RUNNING
    assert "does not run" in capsys.readouterr().out
    assert len(list((tmp_path / "spool").glob("*.z"))) == 1


def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "configure", lambda _form: None)  # it is for the whole process
    for arguments, said in (
        (["run", "--url", "ftp://x"], "VIGIE_URL cannot be 'ftp://x'"),
        (["run", "--interval-s", "5"], "VIGIE_AGENT_INTERVAL_S cannot be '5'"),
        (["run", "--allow-actions", "start,reboot"], "VIGIE_AGENT_ALLOW_ACTIONS knows start, stop, restart"),
        (["run", "--service-pattern", "a;b"], "VIGIE_AGENT_SERVICE_PATTERN cannot be"),
        (["run", "--host", "../x"], "VIGIE_AGENT_HOST cannot be"),
        (["run", "--state-dir", "/dev/null/x"], "The state directory /dev/null/x cannot be used"),
    ):
        assert run(arguments) == EXIT_FAILED
        assert said in capsys.readouterr().err
    assert run(["status", "--state-dir", str(tmp_path)]) == EXIT_NOT_RUNNING


def test_the_key_is_found_where_it_is_given(tmp_path: Path) -> None:
    (tmp_path / settings.CREDENTIAL).write_text("vk_file\n")
    assert settings.key({"VIGIE_API_KEY": " vk_x "}) == "vk_x"
    assert settings.key({"VIGIE_API_KEY_FILE": str(tmp_path / settings.CREDENTIAL)}) == "vk_file"
    assert settings.key({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "vk_file"
    assert settings.key({}) is None
    with pytest.raises(AgentError, match="VIGIE_API_KEY_FILE names"):
        settings.key({"VIGIE_API_KEY_FILE": str(tmp_path / "none")})
