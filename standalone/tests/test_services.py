"""Where the front door listens, under which address it is reached, and who may use it."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.text import Text
from vigie_healthcheck.targets.own import named
from vigie_standalone.embedded.ports import Ports, free_port, is_free
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
        (None, {}, "2"),
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
    listening = {"inbox", "aggregator", "alerting", "healthcheck", "front", "demo"}
    assert set(environments) == {*listening, "self-monitoring", "agent"}
    assert environments["alerting"]["VIGIE_ALERTING_HOST"] == "127.0.0.1"
    assert environments["healthcheck"]["VIGIE_HEALTHCHECK_HOST"] == "127.0.0.1"


def processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: object
) -> dict[str, tuple[list[str], Mapping[str, str]]]:
    """Command and environment of everything that is started."""
    made: dict[str, tuple[list[str], Mapping[str, str]]] = {}
    monkeypatch.setattr(
        "vigie_standalone.services.Process", lambda name, command, *_, env, **__: made.update({name: (command, env)})
    )
    services(Context(Options(tmp_path, **options), Home(tmp_path), {}, lambda _name: print))  # pyright: ignore[reportArgumentType]
    return made


def environment_of_alerting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> Mapping[str, str]:
    made = processes(tmp_path, monkeypatch, **options)
    assert ("inbox" in made) is options.get("inbox", True)
    return made["alerting"][1]


@pytest.mark.parametrize("service", ["alerting", "healthcheck"])
def test_who_owns_partitions_keeps_its_name_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    variable = f"VIGIE_{service.upper()}_INSTANCE"
    monkeypatch.delenv(variable, raising=False)
    first, again, other = (
        processes(directory, monkeypatch)[service][1][variable]
        for directory in (tmp_path, tmp_path, tmp_path / "other")
    )
    assert first == again != other


def test_notifications_are_caught_unless_the_operator_says_where_they_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLACK_WEBHOOK_URL", "EMAIL_SMTP_HOST", "EMAIL_TO", "VIGIE_ALERT_NETWORKS"):
        monkeypatch.delenv(name, raising=False)
    ports = Ports(tmp_path).get(["inbox-smtp", "inbox-http"])
    env = environment_of_alerting(tmp_path, monkeypatch)
    assert env["SLACK_WEBHOOK_URL"] == f"http://127.0.0.1:{ports['inbox-http']}/slack"
    assert (env["EMAIL_SMTP_HOST"], env["EMAIL_SMTP_PORT"]) == ("127.0.0.1", str(ports["inbox-smtp"]))
    assert (env["EMAIL_SMTP_TLS"], env["EMAIL_TO"]) == ("none", "on-call@example.com")
    assert env["VIGIE_ALERT_NETWORKS"] == "127.0.0.0/8"
    assert "Notifications by e-mail and Slack are caught" in banner(Options(tmp_path), 1.0, "nothing")

    monkeypatch.setenv("EMAIL_SMTP_HOST", "smtp.example.com")
    monkeypatch.setenv("EMAIL_TO", "ann@example.com")
    own_mail = environment_of_alerting(tmp_path, monkeypatch)
    assert own_mail["EMAIL_SMTP_HOST"] == "smtp.example.com"
    assert "EMAIL_SMTP_TLS" not in own_mail
    assert "Notifications by Slack are caught" in banner(Options(tmp_path), 1.0, "nothing")

    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.slack.example/1")
    assert environment_of_alerting(tmp_path, monkeypatch)["SLACK_WEBHOOK_URL"] == "https://hooks.slack.example/1"
    assert "are caught on" not in banner(Options(tmp_path), 1.0, "nothing")


def test_login_of_another_mail_server_is_not_shown_to_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMAIL_SMTP_HOST", raising=False)
    monkeypatch.setenv("EMAIL_USERNAME", "ann")
    monkeypatch.setenv("EMAIL_PASSWORD", "secret")
    assert not {"EMAIL_USERNAME", "EMAIL_PASSWORD"} & set(environment_of_alerting(tmp_path, monkeypatch))


def test_webhooks_lead_to_this_machine_only_while_nobody_else_may_ask_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIGIE_ALERT_NETWORKS", raising=False)
    assert "VIGIE_ALERT_NETWORKS" not in environment_of_alerting(tmp_path, monkeypatch, host="0.0.0.0")
    assert "VIGIE_ALERT_NETWORKS" not in environment_of_alerting(tmp_path, monkeypatch, inbox=False)
    monkeypatch.setenv("VIGIE_ALERT_NETWORKS", "10.0.0.0/8")
    assert environment_of_alerting(tmp_path, monkeypatch)["VIGIE_ALERT_NETWORKS"] == "10.0.0.0/8"


@pytest.mark.parametrize("service", ["alerting", "healthcheck"])
def test_service_behind_the_front_door_speaks_no_tls_and_answers_no_other_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    for name in ("VIGIE_TLS_CERT_FILE", "VIGIE_TLS_KEY_FILE", "VIGIE_CORS_ORIGINS"):
        monkeypatch.setenv(name, "x")
    _, env = processes(tmp_path, monkeypatch)[service]
    assert not {"VIGIE_TLS_CERT_FILE", "VIGIE_TLS_KEY_FILE", "VIGIE_CORS_ORIGINS"} & set(env)
    assert env["VIGIE_TRUSTED_PROXIES"] == "127.0.0.0/8"


def test_front_door_hands_on_to_the_services_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forwarded(**options: object) -> dict[str, str]:
        made = processes(tmp_path, monkeypatch, **options)
        command = made["front"][0]
        pairs = [command[at + 1] for at, word in enumerate(command) if word == "--forward"]
        assert {"alerting", "healthcheck"} & set(made) == {pair.partition("=")[0] for pair in pairs}
        return dict(pair.split("=", 1) for pair in pairs)

    both = forwarded()
    ports = Ports(tmp_path).get(["alerting", "healthcheck"])
    assert both == {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    assert forwarded(healthcheck=False) == {"alerting": both["alerting"]}
    assert forwarded(alerting=False, healthcheck=False) == {}


def test_what_runs_is_a_target_from_the_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIGIE_OWN_TARGETS", raising=False)

    def own(**options: object) -> dict[str, str]:
        _, environment = processes(tmp_path, monkeypatch, **options)["healthcheck"]
        return {one.target.name: one.target.url for one in named(environment["VIGIE_OWN_TARGETS"])}

    everything = own()
    parts = {"ingest", "api", "push", "aggregator", "alerting", "healthcheck"}
    booking = {"hotel-booking", "flight-booking", "event-tickets", "train-tickets", "car-rental"}
    assert set(everything) == {f"vigie-{part}" for part in parts} | booking
    assert everything["vigie-push"] == "http://127.0.0.1:3000/internal/ready/push"
    assert set(everything) - set(own(alerting=False, demo=False)) == {"vigie-alerting", *booking}
    command = processes(tmp_path, monkeypatch)["demo"][0]
    port = command[command.index("--health-port") + 1]
    assert everything["car-rental"] == f"http://127.0.0.1:{port}/car-rental/health"
    monkeypatch.setenv("VIGIE_OWN_TARGETS", "mine=http://127.0.0.1:1/")
    assert set(own()) == {"mine"}


def test_targets_may_be_on_this_machine_only_while_nobody_else_may_ask_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIGIE_PROBE_NETWORKS", raising=False)
    assert processes(tmp_path, monkeypatch)["healthcheck"][1]["VIGIE_PROBE_NETWORKS"] == "127.0.0.0/8,::1/128"
    assert "VIGIE_PROBE_NETWORKS" not in processes(tmp_path, monkeypatch, host="0.0.0.0")["healthcheck"][1]
    monkeypatch.setenv("VIGIE_PROBE_NETWORKS", "10.0.0.0/8")
    assert processes(tmp_path, monkeypatch)["healthcheck"][1]["VIGIE_PROBE_NETWORKS"] == "10.0.0.0/8"


def test_banner_without_alerting_says_nothing_of_alerts(tmp_path: Path) -> None:
    assert "alerts" not in banner(Options(tmp_path, alerting=False), 1.0, "nothing")


def test_banner_shows_where_health_is_while_something_is_asked(tmp_path: Path) -> None:
    assert "health      http://localhost:3000/api/health\n" in banner(Options(tmp_path), 1.0, "nothing")
    assert "/api/health" not in banner(Options(tmp_path, healthcheck=False), 1.0, "nothing")


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
