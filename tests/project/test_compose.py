"""What can be known of the compose stack without running it; tests/e2e/test_compose.py runs its core where it can."""

import importlib
import os
import re
import shutil
import stat
import subprocess
import sys
from fnmatch import fnmatchcase
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vigie_contracts.paths import PATH_RULES, Service
from vigie_contracts.problems import CONTENT_TYPE, Problem, ProblemKind
from vigie_dashboard.site import POLICY
from vigie_healthcheck.targets.own import named
from vigie_standalone.embedded import redis

from tests.kit import docker
from tests.project.repo import ROOT, SERVICES, parsed, settings_of, text, variables_of
from tools import proxy
from tools.deployment.services import BY_NAME, FRONT, PORT, SERVERS, USER, VERSION, variables

COMPOSE = parsed("docker-compose.yml")
DOCKERFILE = text("deploy/docker/Dockerfile")
ALL: dict[str, Any] = COMPOSE["services"]
TOOLS = {name: service for name, service in ALL.items() if "profiles" in service}
OURS = {name: service for name, service in ALL.items() if "build" in service and name not in TOOLS}
STRANGERS_REACH = tuple(row.name for row in FRONT)
OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
SECURED = {"kafka-password", "mongodb-uri", "redis-url"}
"""The secrets of everything that uses the servers."""
YOURS = ("email-password", "slack-webhook-url")
"""Secrets that nobody can make up: empty until the operator writes them, and then there is no such channel."""
HOLES = {
    "mongo": ("8.0.17", "CVE-2025-14847: memory of the server leaks through compressed messages"),
    "redis": ("8.2.3", "CVE-2025-49844 and CVE-2025-62507: code by scripts and by stream commands"),
    "grafana/grafana": ("12.3.0", "CVE-2025-41115: whoever provisions users becomes any of them"),
    "apache/kafka": ("3.9.1", "CVE-2025-27818: code by a client's login settings"),
}
"""The lowest version of an image without the holes that are known to us."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the stack's own script fills."""
    directory = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run([ROOT / "deploy/make-secrets", directory], check=True, capture_output=True)
    return directory


def environment(service: str) -> dict[str, str]:
    """The variables of a service when nobody sets any outside."""
    return {name: VARIABLE.sub(r"\2", str(value)) for name, value in ALL[service]["environment"].items()}


def test_compose_file_matches_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in ALL.values()]
    [base] = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}
    images.append(base)
    for image in images:
        name, _, tag = image.partition(":")
        assert name
        assert re.match(r"v?\d+\.\d+\.\d+", tag), f"{image} is not pinned"


def test_no_image_has_a_published_hole_that_we_know_of() -> None:
    images = dict(service["image"].split(":", 1) for service in ALL.values())
    for name, (lowest, hole) in HOLES.items():
        assert version(images[name]) >= version(lowest), f"{name}: {hole}"


def version(tag: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", tag)[:3])


def test_tests_in_containers_use_the_images_of_compose() -> None:
    assert ALL["kafka"]["image"] == docker.KAFKA_IMAGE
    assert ALL["mongodb"]["image"] == docker.MONGO_IMAGE
    assert ALL["redis"]["image"] == docker.REDIS_IMAGE


def test_every_dependency_exists_and_can_become_what_is_waited_for() -> None:
    for name, service in ALL.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in ALL, f"{name} waits for {other}, which does not exist"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in ALL[other] or (other in OURS and "HEALTHCHECK" in DOCKERFILE)


def test_every_service_of_ours_is_in_the_stack_and_starts_a_module_that_exists() -> None:
    assert set(OURS) == set(SERVICES)
    assert "SERVICE_MODULE=vigie_${SERVICE}" in DOCKERFILE
    assert 'exec python -m \\"$SERVICE_MODULE\\"' in DOCKERFILE
    for name, service in OURS.items():
        assert service["build"]["args"]["SERVICE"] == name
        assert f'name = "vigie-{name}"' in text(f"services/{name}/pyproject.toml")
        assert hasattr(importlib.import_module(f"vigie_{name}.__main__"), "main")


def test_services_are_those_of_the_table() -> None:
    assert set(BY_NAME) == set(OURS)
    for name, row in BY_NAME.items():
        service = OURS[name]
        assert set(service["secrets"]) == set(row.all_secrets)
        files = {variable: value for variable, value in environment(name).items() if variable.endswith("_FILE")}
        assert files == {variable: value for variable, value in variables(row).items() if variable.endswith("_FILE")}
        assert service["mem_limit"] == f"{row.resources.memory_limit}m"
        assert service["stop_grace_period"] == f"{row.grace_s}s"
        assert set(service["networks"]) == {"data", "watch"} | ({"edge"} if row.front else set())
        assert set(service["depends_on"]) == set(SERVERS)
        assert f"VIGIE_{name.upper()}_PORT={PORT}" in DOCKERFILE
    assert {row.name for row in FRONT} == set(Service) - {Service.DASHBOARD}
    assert set(ALL["proxy"]["depends_on"]) == {row.name for row in FRONT}


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting_and_the_settings_load(
    service: str, monkeypatch: pytest.MonkeyPatch, secrets: Path
) -> None:
    settings, variables = settings_of(service), variables_of(service)
    port = re.search(rf"VIGIE_{service.upper()}_PORT=(\d+)", DOCKERFILE)
    assert port
    given = {**environment(service), f"VIGIE_{service.upper()}_PORT": port[1]}
    assert {name.removesuffix("_FILE") for name in given} - OTEL <= set(variables)
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        if name.endswith("_FILE"):  # the secret that the service is given under this name
            secret = value.removeprefix("/run/secrets/")
            assert secret in ALL[service]["secrets"]
            monkeypatch.setenv(name, str(secrets / secret))
        else:
            monkeypatch.setenv(name, value)
    listening = getattr(settings(), variables[f"VIGIE_{service.upper()}_PORT"])  # pyright: ignore[reportCallIssue]
    assert f"EXPOSE {listening}\n" in DOCKERFILE
    assert f"PORT = {listening} " in text("deploy/docker/healthcheck.py")


def test_every_mounted_file_and_volume_exists() -> None:
    used = set()
    for service in ALL.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                used.add(source)
    assert used == set(COMPOSE["volumes"])


def test_only_the_front_door_is_open_to_the_network() -> None:
    for name, service in ALL.items():
        for port in service.get("ports", []):
            assert name == "proxy" or port.startswith("127.0.0.1:"), f"{name} publishes {port}"
    assert ALL["proxy"]["ports"] == ["3000:3000"]


def test_proxy_splits_paths_as_the_front_door_of_vigie_up() -> None:
    config = text("deploy/proxy/Caddyfile")
    assert proxy.render(config) == config, "run python -m tools.proxy"
    handled = re.findall(
        r"@\w+ \{\s+method ([^\n]*)\s+path ([^\n]*)\s+\}\s+handle @\w+ \{\s+(?:reverse_proxy|import) (\w+)", config
    )
    split = [(path, tuple(methods.split()), service) for methods, paths, service in handled for path in paths.split()]
    assert set(split) == {(row.path, row.methods, row.service) for row in PATH_RULES}
    # The proxy takes the first of its rows that fits, and has those of the same service and methods together.
    first = [next(path for path, _, _ in split if fnmatchcase(row.path, path)) for row in PATH_RULES]
    assert first == [row.path for row in PATH_RULES]


def test_what_the_proxy_itself_refuses_is_a_problem_as_elsewhere() -> None:
    config = text("deploy/proxy/Caddyfile")
    answers = re.findall(
        r"handle_errors (\w+) \{\s+header Content-Type (\S+).*?respond `(.*?)` (\d+)", config, re.DOTALL
    )
    assert [codes for codes, *_ in answers] == ["404", "5xx"]
    for _, content_type, body, status in answers:
        problem = msgspec.json.decode(body, type=Problem, strict=True)
        assert content_type == CONTENT_TYPE
        assert problem.status == int(status)
        assert problem.type.removeprefix("/problems/") in set(ProblemKind)
        assert problem.message == problem.detail
    assert re.search(r"handle /internal/\* \{\s+error 404", config)  # `respond` would leave out the problem


@pytest.mark.parametrize("name", ALL)
def test_every_container_is_confined(name: str) -> None:
    service = ALL[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])


def test_kafka_owns_what_it_writes_without_a_volume() -> None:
    """A tmpfs in the place of a directory of the image is root's, with the mode of that directory."""
    kafka = ALL["kafka"]
    user, group = kafka["user"].split(":")
    assert {f"/opt/kafka/{name}:uid={user},gid={group}" for name in ("config", "logs")} <= set(kafka["tmpfs"])


def test_networks_let_nobody_reach_more_than_needed() -> None:
    assert COMPOSE["networks"]["data"]["internal"] is True
    reach = {name: set(service["networks"]) for name, service in ALL.items()}
    servers = {"kafka", "mongodb", "redis"}
    assert {name for name, networks in reach.items() if "data" in networks} == servers | set(OURS) | set(TOOLS)
    assert all(reach[name] == {"data"} for name in servers)
    assert reach["proxy"] == {"edge"}
    for watcher in ("prometheus", "grafana", "otel-collector", "jaeger", "mailpit"):
        assert reach[watcher] == {"watch"}


def test_servers_ask_for_credentials_and_the_secrets_fit_each_other(secrets: Path) -> None:
    held = {file.name: file.read_text().strip() for file in secrets.iterdir()}
    assert set(held) - {"redis-password"} == set(COMPOSE["secrets"])
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert held["mongodb-uri"].startswith(f"mongodb://vigie:{held['mongodb-password']}@mongodb:27017/?replicaSet=rs0&")
    assert held["redis-url"] == f"redis://vigie:{held['redis-password']}@redis:6379/0"
    digest = sha256(held["redis-password"].encode()).hexdigest()
    assert held["redis-acl"].splitlines() == [
        "user default off",
        f"user vigie on #{digest} {redis.RIGHTS}",
    ]
    assert held["kafka-properties"].startswith("listener.name.client.plain.sasl.jaas.config=")
    assert held["kafka-properties"].endswith(f' user_vigie="{held["kafka-password"]}";')
    listeners = ALL["kafka"]["environment"]["KAFKA_LISTENERS"].split(",")
    assert [one for one in listeners if "localhost" not in one] == ["CLIENT://:9092"]
    assert "CLIENT:SASL_PLAINTEXT" in ALL["kafka"]["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert "--keyFile=/tmp/keyfile" in ALL["mongodb"]["command"]
    assert ALL["redis"]["command"][-2:] == ["--aclfile", "/run/secrets/redis-acl"]
    values = [value for name, value in held.items() if name not in ("prometheus-key", *YOURS)]
    assert not any(held[name] for name in YOURS)
    assert len(set(values)) == len(values)


def test_secrets_that_are_there_are_kept(secrets: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(secrets, tmp_path / "secrets")
    (copy / "redis-acl").unlink()
    subprocess.run([ROOT / "deploy/make-secrets", copy], check=True, capture_output=True)
    for file in secrets.iterdir():
        assert (copy / file.name).read_text() == file.read_text()


def test_no_secret_is_made_empty_when_openssl_fails(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "openssl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = [ROOT / "deploy/make-secrets", tmp_path / "secrets"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "jwt-secret came out empty" in ran.stderr
    assert list((tmp_path / "secrets").iterdir()) == []


def test_secrets_are_files_without_a_default_and_nobody_has_more_of_them_than_needed() -> None:
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert all(re.match(r"\$\{VIGIE_SECRETS(:\?[^}]+)?\}/" + name + "$", file) for name, file in files.items())
    assert any(":?" in file for file in files.values())
    given = {
        name: {secret if isinstance(secret, str) else secret["source"] for secret in service["secrets"]}
        for name, service in ALL.items()
        if "secrets" in service
    }
    assert given == {
        "ingest": {*SECURED, "jwt-secret"},
        "aggregator": SECURED,
        "api": {*SECURED, "jwt-secret", "admin-password"},
        "alerting": {*SECURED, "jwt-secret", "channel-keys", "email-password", "slack-webhook-url"},
        "healthcheck": {*SECURED, "jwt-secret", "channel-keys"},
        "push": {*SECURED, "jwt-secret"},
        "vigie": SECURED,
        "kafka": {"kafka-properties"},
        "mongodb": {"mongodb-keyfile", "mongodb-root-password", "mongodb-password"},
        "redis": {"redis-acl"},
        "prometheus": {"prometheus-key"},
        "grafana": {"grafana-admin-password"},
    }
    for service in ALL.values():
        for name, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", name):
                assert name.endswith("_FILE")
                assert str(value).removeprefix("/run/secrets/") in service["secrets"]
    key = next(
        job["authorization"] for job in parsed("deploy/prometheus/prometheus.yml")["scrape_configs"]
        if job["job_name"] == "vigie-latest"
    )  # fmt: skip
    assert key == {"credentials_file": "/run/secrets/prometheus-key"}


def test_without_a_credential_nodes_send_their_telemetry_and_nothing_else() -> None:
    for service in STRANGERS_REACH:
        assert environment(service)["VIGIE_ANONYMOUS"] == "telemetry"
        assert environment(service)["VIGIE_CORS_ORIGINS"] == ""


def test_the_command_is_there_for_operators_and_not_started_with_the_stack() -> None:
    [tool] = TOOLS.values()
    assert tool["profiles"] == ["tools"]
    assert tool["build"]["args"] == {"SERVICE": "standalone"}
    assert tool["entrypoint"] == ["vigie"]
    assert 'vigie = "vigie_standalone.cli:main"' in text("standalone/pyproject.toml")
    assert environment("vigie") == environment("aggregator")
    assert "docker compose run --rm vigie admin reset-password" in text("docs/runbooks/locked-out.md")


def test_proxy_serves_the_dashboard_with_the_policy_of_vigie_up() -> None:
    config = text("deploy/proxy/Caddyfile")
    assert f'Content-Security-Policy "{POLICY}"' in config
    assert "./services/dashboard/vigie_dashboard/static:/srv/dashboard:ro" in ALL["proxy"]["volumes"]
    assert "root * /srv/dashboard" in config


def test_proxy_alone_is_believed_about_who_asks_and_believes_nobody() -> None:
    [edge] = COMPOSE["networks"]["edge"]["ipam"]["config"]
    address = ip_address(ALL["proxy"]["networks"]["edge"]["ipv4_address"])
    assert address in ip_network(edge["subnet"])
    assert {name for name, service in ALL.items() if "edge" in service.get("networks", [])} == {
        "proxy",
        *STRANGERS_REACH,
    }
    for service in STRANGERS_REACH:
        assert environment(service)["VIGIE_TRUSTED_PROXIES"] == str(address)
    config = re.sub(r"#.*", "", text("deploy/proxy/Caddyfile"))
    assert "trusted_proxies" not in config
    assert "X-Forwarded" not in config  # what Caddy does by itself is right: it writes the header anew


def test_proxy_sends_only_to_services_that_exist() -> None:
    for host, port in re.findall(r"reverse_proxy (\w+):(\d+)", text("deploy/proxy/Caddyfile")):
        assert host in OURS
        assert f"EXPOSE {port}\n" in DOCKERFILE


def test_everything_of_ours_is_a_target_from_the_first_start() -> None:
    own = {one.target.name: one.target.url for one in named(environment("healthcheck")["VIGIE_OWN_TARGETS"])}
    [port] = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert own.pop("vigie-proxy") in str(ALL["proxy"]["healthcheck"]["test"]).replace("127.0.0.1", "proxy")
    assert own == {f"vigie-{name}": f"http://{name}:{port}/health/ready" for name in OURS}


def test_image_is_built_from_the_lock_without_development_tools_and_runs_without_root() -> None:
    syncs = re.findall(r"uv sync [^\n]*", DOCKERFILE)
    assert len(syncs) == 2
    for sync in syncs:
        assert "--frozen" in sync
        assert "--no-dev" in sync
    assert re.search(rf"^USER {USER}:{USER}$", DOCKERFILE, re.MULTILINE)
    assert f"ARG VERSION={VERSION}\n" in DOCKERFILE
    wrapper = re.search(r"^private_version=(\S+)", text("tools/uv"), re.MULTILINE)
    assert wrapper
    assert f"UV_VERSION={wrapper[1]}\n" in DOCKERFILE


def test_everything_the_image_copies_exists_and_reaches_the_build() -> None:
    passed = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in passed, source
