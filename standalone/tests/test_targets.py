"""`vigie targets`: what is asked, and how answers and refusals are shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from typer.testing import CliRunner
from vigie_standalone import cli
from vigie_standalone.alerting import targets
from vigie_standalone.alerting.asking import Api, RefusedError
from vigie_standalone.errors import StandaloneError
from vigie_standalone.query.asking import Server

SERVICE = {
    "name": "a/b\x1b[2J", "state": "down", "enabled": True, "group": "shop", "kind": "http", "url": "https://a/",
    "reason": "it answered with status 503",
}  # fmt: skip
MADE = {"name": "shop", "token": "", "warnings": []}


class Fake:
    """Healthcheck, as far as a command sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[httpx2.Request] = []
        self.answer: Any = {}
        self.status = 200
        client = httpx2.Client(transport=httpx2.MockTransport(self._handle))
        ask: Callable[..., Api] = lambda *_: Api(Server("http://vigie"), "/api/health", client)  # noqa: E731
        monkeypatch.setattr(targets, "health", ask)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if self.status == 204:
            return httpx2.Response(204)
        if isinstance(self.answer, str):
            return httpx2.Response(self.status, text=self.answer)
        return httpx2.Response(self.status, json=self.answer)

    def run(self, *words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(cli.app, ["targets", *words])
        assert result.exit_code == code, result.output
        return result


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(monkeypatch)


def test_a_target_is_added_with_what_was_said(fake: Fake) -> None:
    fake.answer = MADE
    result = fake.run(
        "add", "shop", "https://a/", "--interval", "1m", "--label", "site=1", "--header", "X-Key: a:b", "--depends-on",
        "db",
    )  # fmt: skip
    assert json.loads(fake.asked[0].content) == {
        "name": "shop", "url": "https://a/", "interval": "1m", "retries": 0, "labels": {"site": "1"},
        "headers": {"X-Key": "a:b"}, "dependsOn": ["db"], "public": False,
    }  # fmt: skip
    assert not result.stdout


def test_the_token_of_a_heartbeat_is_all_that_is_printed(fake: Fake) -> None:
    fake.answer = {**MADE, "token": "s3cret-token"}
    assert fake.run("add", "backup", "--kind", "heartbeat", "--interval", "24h").stdout == "s3cret-token\n"
    assert "url" not in json.loads(fake.asked[0].content)


def test_targets_are_listed_without_what_a_terminal_obeys(fake: Fake) -> None:
    fake.answer = {"services": [SERVICE], "nextCursor": None}
    assert fake.run("list", "--state", "down").stdout == (
        "a/b\\x1b[2J\tdown\tshop\thttp\thttps://a/\tit answered with status 503\n"
    )
    assert fake.asked[0].url.params["state"] == "down"


def test_names_are_percent_encoded_in_paths(fake: Fake) -> None:
    fake.run("show", "a/ä")
    fake.status = 204
    fake.run("delete", "a/ä")
    assert [one.url.raw_path for one in fake.asked] == [b"/api/health/services/a%2F%C3%A4"] * 2


def test_a_check_that_finds_one_down_ends_with_1(fake: Fake) -> None:
    fake.answer = {"services": [{**SERVICE, "state": "up"}], "pending": []}
    fake.run("check", "shop")
    assert fake.asked[0].url.params["service"] == "shop"
    fake.answer = {"services": [SERVICE], "pending": []}
    assert "status 503" in fake.run("check", code=1).stdout
    fake.answer = {"services": [], "pending": ["slow"]}
    fake.run("check", code=1)


def test_a_module_file_of_blackbox_exporter_is_imported_for_addresses(fake: Fake, tmp_path: Path) -> None:
    file = tmp_path / "blackbox.yml"
    file.write_text("modules:\n  page: {prober: http}\n  other: {prober: icmp}\n")
    service = {"outcome": "created", "name": "https://a", "fields": [], "token": ""}
    fake.answer = {
        "created": 1, "changed": 0, "unchanged": 0, "services": [service],
        "warnings": [{"line": 1, "message": "proxy_url has no place"}],
    }  # fmt: skip
    result = fake.run("import", str(file), "--dry-run", "--module", "page", "--target", "https://a")
    assert yaml.safe_load(fake.asked[0].content) == {
        "targets": [{"name": "https://a", "url": "https://a", "module": "page"}],
        "modules": {"page": {"prober": "http"}},
    }
    assert fake.asked[0].url.params["dryRun"] == "true"
    assert "blackbox.yml:1: warning: proxy_url has no place" in result.stderr
    assert "(nothing was done)" in result.stderr
    for words in (["--module", "gone"], ["--module", "page"]):
        result = CliRunner().invoke(cli.app, ["targets", "import", str(file), *words])
        assert isinstance(result.exception, StandaloneError)


def test_an_export_is_printed_as_it_is(fake: Fake) -> None:
    fake.answer = "targets: []\n"
    assert fake.run("export", "--group", "g").stdout == "targets: []\n"


def test_a_refusal_tells_every_reason(fake: Fake) -> None:
    fake.status = 422
    fake.answer = {"detail": "name: is missing; url: is missing", "errors": [
        {"field": "name", "reason": "is missing"}, {"field": "url", "reason": "is missing"},
    ]}  # fmt: skip
    result = CliRunner().invoke(cli.app, ["targets", "add", "shop"])
    assert isinstance(result.exception, RefusedError)
    assert "\n  url: is missing" in str(result.exception)
