"""`vigie oncall`: what is asked, and how answers are shown."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner
from vigie_standalone import cli
from vigie_standalone.alerting import oncall
from vigie_standalone.alerting.asking import Api
from vigie_standalone.query.asking import Server


class Fake:
    """Alerting, as far as a command sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[httpx2.Request] = []
        self.answer: Any = {}
        client = httpx2.Client(transport=httpx2.MockTransport(self._handle))
        ask: Callable[..., Api] = lambda *_: Api(Server("http://vigie"), "/api/oncall", client)  # noqa: E731
        monkeypatch.setattr(oncall, "on_call", ask)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return httpx2.Response(200, json=self.answer)

    def run(self, *words: str) -> Any:
        result = CliRunner().invoke(cli.app, ["oncall", *words])
        assert result.exit_code == 0, result.output
        return result


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(monkeypatch)


def test_who_is_on_call_is_a_line_per_schedule(fake: Fake) -> None:
    on = {"schedule": "db", "person": "ana\x1b[2J", "until": "2026-12-07T08:00:00.000Z"}
    nobody = {"schedule": "web", "person": None, "until": None, "next": None}
    fake.answer = {"schedules": [{**on, "next": {"person": "ben", "at": "2026-12-07T08:00:00.000Z"}}, nobody]}
    lines = fake.run("now", "--at", "now+8h").stdout.splitlines()
    assert lines[0].split("\t")[2:] == ["2026-12-07 08:00", "ben", "2026-12-07 08:00"]
    assert "\x1b" not in lines[0]
    assert lines[1].split("\t")[:2] == ["web", "nobody"]
    assert fake.asked[0].url.params["at"] == "now+8h"


def test_shifts_and_gaps_are_in_their_order(fake: Fake) -> None:
    shift = {"from": "2026-12-07T08:00:00.000Z", "to": "2026-12-08T08:00:00.000Z", "person": "ana", "by": "weekly"}
    gap = {"from": "2026-12-06T08:00:00.000Z", "to": "2026-12-07T08:00:00.000Z"}
    fake.answer = {"shifts": [shift], "gaps": [gap]}
    lines = fake.run("shifts", "data base").stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["nobody", "ana"]
    assert fake.asked[0].url.raw_path.startswith(b"/api/oncall/schedules/data%20base/shifts?")


def test_somebody_takes_over(fake: Fake) -> None:
    fake.answer = {"id": "o1", "person": "ben", "from": "2026-12-07T08:00:00.000Z", "to": "2026-12-07T10:00:00.000Z"}
    assert (
        "o1: ben from 2026-12-07 08:00 to 2026-12-07 10:00 UTC"
        in fake.run("override", "db", "ben", "--to", "now+2h").stdout
    )
    assert (fake.asked[0].method, fake.asked[0].url.path) == ("POST", "/api/oncall/schedules/db/overrides")


def test_chains_are_shown_step_by_step_with_what_is_wrong(fake: Fake) -> None:
    step = {"after": "5m", "notify": [{"type": "schedule", "name": "db"}, {"type": "person", "name": "ana"}]}
    fake.answer = {"chains": [{"name": "db", "steps": [step], "warnings": ["nobody is on call in 'db'"]}]}
    result = fake.run("chains")
    assert result.stdout.split("\t") == ["db", "1", "5m", "schedule db, person ana\n"]
    assert "Warning: nobody is on call in 'db'." in result.stderr


def test_a_calendar_has_an_address(fake: Fake) -> None:
    fake.answer = {"url": "https://vigie.example.com/api/oncall/schedules/db/calendar.ics?token=acme.x"}
    assert fake.run("calendar", "db").stdout.strip() == fake.answer["url"]
