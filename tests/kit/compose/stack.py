"""The stack of docker-compose.yml, as a test runs it: its own project, secrets, front door and deadlines."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import yaml
from vigie_standalone.embedded.ports import free_port

from tests.kit.compose import standins
from tests.kit.compose.daemon import TAIL, Daemon
from tests.kit.wait import eventually_sync, unique
from tools import images

ROOT: Final = Path(__file__).parents[3]
CORE: Final = ("ingest", "aggregator", "api", "push", "alerting", "healthcheck", "proxy")
SERVERS: Final = ("kafka", "mongodb", "redis")
EDGE: Final = "172.31.250.16/28"
PROXY: Final = "172.31.250.26"
"""Beside those of the stack itself, which may run here too."""
UP_S: Final = 600.0
_PULL_S: Final = 300.0
_BASE: Final = "python:3.12.12-slim-bookworm"


class Stack:
    """`up()`, then requests to `url`; `down()` removes everything but images."""

    def __init__(self, daemon: Daemon, directory: Path) -> None:
        self.daemon = daemon
        self.project = unique("vigie-test")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secrets = directory / "secrets"
        self._override = directory / "override.yml"
        self._said: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
            "services"
        ]
        self.stand_ins: list[str] = []

    def up(self) -> None:
        """Build or find every image, start the core, and return when every container is healthy."""
        subprocess.run([ROOT / "deploy/make-secrets", self.secrets], check=True, capture_output=True)
        chosen = self._images()
        self._override.write_text(self._overridden(chosen), encoding="utf-8")
        wait = ("--wait", "--wait-timeout", str(int(UP_S)))
        try:
            self.compose("up", "--detach", "--no-build", *wait, *CORE, timeout=UP_S + 60)
        except AssertionError as error:
            said = self.compose("logs", "--tail", "25", *CORE, *SERVERS, check=False)
            raise AssertionError(f"{error}\n{self.compose('ps', '--all', check=False)}\n{said}") from error

    def down(self) -> None:
        if self._override.exists():  # else nothing was started
            self.compose("down", "--volumes", "--timeout", "5", timeout=180)

    def compose(self, *arguments: str, timeout: float = 180, check: bool = True) -> str:
        """Standard output of `docker compose ...` on this stack; AssertionError when it fails."""
        return self.daemon.run(self.command(*arguments), timeout=timeout, more=self.environment, check=check)

    def command(self, *arguments: str) -> tuple[str, ...]:
        """`docker compose ...` on this stack, to be run with `environment`."""
        files = ("--file", str(ROOT / "docker-compose.yml"), "--file", str(self._override))
        return (*self.daemon.compose, "--project-name", self.project, *files, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        """Which daemon, and which secrets."""
        return {**self.daemon.environment, "VIGIE_SECRETS": str(self.secrets)}

    def container(self, service: str) -> dict[str, Any]:
        """What `docker inspect` says of a service's only container."""
        [identity] = self.compose("ps", "--all", "--quiet", service).split()
        return json.loads(self.daemon.docker("inspect", identity))[0]

    def kill(self, service: str) -> None:
        """SIGKILL to the program in a container, as a crash: what `docker kill` ends is not started again."""
        before = self.container(service)["RestartCount"]
        self.compose("exec", "--no-TTY", service, "sh", "-c", "kill -9 -1 || true", check=False)
        eventually_sync(lambda: self.container(service)["RestartCount"] > before, UP_S)

    def wait_healthy(self, *services: str, deadline_s: float = UP_S) -> None:
        """Return when the containers are healthy again. AssertionError with what they said when time is up."""
        end = time.monotonic() + deadline_s
        while waiting := [one for one in services if self._health(one) != "healthy"]:
            if time.monotonic() > end:
                raise AssertionError(f"not healthy: {waiting}\n{self.compose('logs', '--tail', '20', *waiting)}")
            time.sleep(0.5)

    def _health(self, service: str) -> str:
        state = self.container(service)["State"]
        return state["Health"]["Status"] if state["Running"] else state["Status"]

    def _images(self) -> dict[str, str]:
        """Of the registry where one answers; else stand-ins. Ours are built upon what there is."""
        wanted = {name: self._said[name]["image"] for name in ("redis", "kafka", "mongodb", "proxy")}
        chosen: dict[str, str] = {}
        reached = self._pulled(wanted["redis"])
        for name, image in wanted.items():
            if reached and self._pulled(image):
                chosen[name] = image
            else:
                reached = False
                chosen[name] = standins.make(self.daemon, *image.split(":", 1))
                self.stand_ins.append(image)
        base = _BASE if reached and self._pulled(_BASE) else standins.base(self.daemon)
        options = images.Options(base=base, prefix="vigie-test", network="host")
        with ThreadPoolExecutor(2) as pool:
            ours = [*(name for name in CORE if name != "proxy"), "standalone"]
            built = dict(zip(ours, pool.map(lambda name: self._built(name, options), ours), strict=True))
        chosen |= built | {"vigie": built["standalone"]}
        del chosen["standalone"]
        return chosen

    def _built(self, service: str, options: images.Options) -> str:
        try:
            return images.build(service, options, self.daemon.environment)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{service} cannot be built: {error.stdout[-TAIL:]}{error.stderr[-TAIL:]}") from error

    def _pulled(self, image: str) -> bool:
        if self.daemon.docker("images", "--quiet", image).strip():
            return True
        try:
            self.daemon.docker("pull", "--quiet", image, timeout=_PULL_S)
        except (AssertionError, subprocess.TimeoutExpired):
            return False
        return True

    def _overridden(self, chosen: dict[str, str]) -> str:
        """Images, and what would be in the way of a stack that runs on this machine: the port and the network."""
        services: dict[str, Any] = {name: {"image": image} for name, image in chosen.items()}
        services["proxy"] |= {
            "ports": _Override([f"127.0.0.1:{self.port}:3000"]),
            "networks": _Override({"edge": {"ipv4_address": PROXY}}),
        }
        for name in (name for name in chosen if "VIGIE_TRUSTED_PROXIES" in self._said[name].get("environment", ())):
            services[name]["environment"] = {"VIGIE_TRUSTED_PROXIES": PROXY}
        for name in CORE[:-1]:  # nobody collects traces here, and so many partitions are enough
            more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "VIGIE_PARTITIONS": "4"}
            services[name].setdefault("environment", {}).update(more)
        networks = {"edge": {"ipam": _Override({"config": [{"subnet": EDGE}]})}}
        return yaml.dump({"services": services, "networks": networks}, Dumper=_Dumper, sort_keys=False)


class _Override:
    """Takes the place of what docker-compose.yml says instead of being merged with it."""

    def __init__(self, value: object) -> None:
        self.value = value


class _Dumper(yaml.SafeDumper):
    """Knows the above as Compose's tag."""


def _tagged(dumper: yaml.SafeDumper, one: _Override) -> yaml.Node:
    node = dumper.represent_data(one.value)
    node.tag = "!override"
    return node


_Dumper.add_representer(_Override, _tagged)
