"""Where the front door listens, under which address it is reached, and who may use it."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.text import Text
from vigie_standalone.embedded.ports import free_port, is_free
from vigie_standalone.home import Home
from vigie_standalone.services import Context, Options, anonymous, partitions, services
from vigie_standalone.up import banner, first_login


@pytest.mark.parametrize(
    ("host", "url", "own_url"),
    [
        ("127.0.0.1", "http://localhost:3000", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://localhost:3000", "http://127.0.0.1:3000"),
        ("::", "http://localhost:3000", "http://[::1]:3000"),
        ("::1", "http://[::1]:3000", "http://[::1]:3000"),
        ("192.0.2.7", "http://192.0.2.7:3000", "http://192.0.2.7:3000"),
    ],
)
def test_address_is_one_under_which_the_front_door_answers(tmp_path, host: str, url: str, own_url: str) -> None:
    options = Options(tmp_path, host=host)
    assert (options.url, options.own_url) == (url, own_url)
    assert f"curl -X POST {url}/api" in banner(options, 1.0, "default:read,write")


def test_with_a_certificate_the_address_is_of_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_TLS_CERT_FILE", "cert.pem")
    assert Options(tmp_path).url == "https://localhost:3000"


@pytest.mark.parametrize(
    ("anonymous", "words"),
    [
        ("nothing", "callers may do nothing ("),
        ("telemetry", "callers may send node telemetry for an active tenant that they name ("),
        ("default:read", "callers may read in the tenant default ("),
        (
            "acme:read,write,telemetry",
            "callers may read and write in the tenant acme, and send node telemetry for an active tenant",
        ),
    ],
)
def test_banner_says_what_callers_without_a_credential_may_do(tmp_path: Path, anonymous: str, words: str) -> None:
    shown = banner(Options(tmp_path), 1.0, anonymous)
    assert words in shown
    assert "/auth/login" in shown
    needs_key = "write" not in anonymous
    assert ("X-API-Key" in shown) is needs_key
    assert ("may not send" in shown) is needs_key


def test_banner_names_the_directory_in_its_commands_when_it_is_another() -> None:
    usual = banner(Options(Path(".vigie")), 1.0, "nothing")
    assert "[bold]vigie status[/bold], [bold]vigie incident payment-outage[/bold], [bold]vigie down[/bold]." in usual
    other = Text.from_markup(banner(Options(Path("/srv/my [vigie]")), 1.0, "nothing")).plain
    for command in ("status", "incident payment-outage", "down"):
        assert f"vigie {command} --data-dir '/srv/my [vigie]'" in other


def test_simulator_with_a_token_may_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_TOKEN", "vk_1")
    assert "may not send" not in banner(Options(tmp_path), 1.0, "nothing")


def test_callers_of_the_default_tenant_need_no_credential_unless_the_operator_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("VIGIE_ANONYMOUS", "VIGIE_DEFAULT_TENANT"):
        monkeypatch.delenv(name, raising=False)
    assert anonymous() == "default:read,write,configure,telemetry"
    monkeypatch.setenv("VIGIE_DEFAULT_TENANT", "acme")
    assert anonymous() == "acme:read,write,configure,telemetry"
    monkeypatch.setenv("VIGIE_ANONYMOUS", "nothing")
    assert anonymous() == "nothing"


def test_first_password_is_shown_and_a_chosen_one_is_not() -> None:
    assert "password [bold]made-up[/bold]" in first_login("admin", "made-up")
    assert "VIGIE_ADMIN_PASSWORD" in first_login("admin", None)


@pytest.mark.parametrize(
    ("recorded", "environment", "number"),
    [
        (None, {}, "4"),
        (12, {}, "12"),
        (None, {"VIGIE_PARTITIONS": "7"}, None),
        (12, {"VIGIE_PARTITIONS": "7"}, None),
        (None, {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, None),
        (12, {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, "12"),
    ],
)
def test_topics_of_one_machine_have_few_partitions_and_keep_those_they_have(
    recorded: int | None, environment: dict[str, str], number: str | None
) -> None:
    assert partitions(recorded, environment).get("VIGIE_PARTITIONS") == number


def test_everything_but_the_front_door_listens_on_the_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments: dict[str, Mapping[str, str]] = {}
    monkeypatch.setattr(
        "vigie_standalone.services.Process",
        lambda name, *_, env, **__: environments.update({name: env}),
    )
    home = Home(tmp_path)
    services(Context(Options(tmp_path, host="0.0.0.0"), home, {}, lambda _name: print))
    assert environments["aggregator"]["VIGIE_AGGREGATOR_HOST"] == "127.0.0.1"
    # Whoever adds one says here where it listens.
    assert set(environments) == {"aggregator", "front", "self-monitoring", "demo"}


def test_port_of_an_ipv6_address_is_looked_at_there() -> None:
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server:
        try:
            server.bind(("::1", port))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        assert not is_free(port, "::1")
    assert is_free(port, "::1")
