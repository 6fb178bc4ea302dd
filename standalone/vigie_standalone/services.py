"""What `vigie up` runs on top of the servers, and how each of them is started and asked whether it is ready."""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from vigie_identity.anonymous import AnonymousAccess, AnonymousRule

from vigie_standalone import secrets
from vigie_standalone.demo import health as demo_health
from vigie_standalone.demo.services import SERVICES
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process
from vigie_standalone.home import Home
from vigie_standalone.inbox import SLACK_PATH
from vigie_standalone.probes import LOOPBACK, http_ready
from vigie_standalone.supervisor import Unit

FIRST_BACKFILL = "1h"
PARTITIONS = 2
"""Of topics that this machine makes for itself. Each costs the aggregator and MongoDB a commit for every second in
which something arrives, and one machine has no more cores to spread them over."""
FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072", "OPENBLAS_NUM_THREADS": "1"}
"""Memory that the C library and numpy would set aside for threads which a small machine does not keep busy, or keep
after a peak: the C library gives back less and less, the larger what was freed before."""
INBOX_PORTS = ("inbox-smtp", "inbox-http")
DEMO_PORT = "demo-health"
OF_THE_FRONT_DOOR = {
    "VIGIE_TRUSTED_PROXIES": "127.0.0.0/8",
    "VIGIE_TLS_CERT_FILE": "",
    "VIGIE_TLS_KEY_FILE": "",
    "VIGIE_CORS_ORIGINS": "",
}
"""Of a service behind the front door, which has spoken TLS and answered other origins already."""
OUTSIDE = {
    "e-mail": ("EMAIL_SMTP_HOST",),
    "Slack": ("SLACK_WEBHOOK_URL", "SLACK_WEBHOOK_URL_FILE"),
}
"""Channel -> the settings that say where it is."""
EXAMPLE_ADDRESSES = {"EMAIL_FROM": "vigie@example.com", "EMAIL_TO": "on-call@example.com"}
NO_LOGIN = {"EMAIL_USERNAME": "", "EMAIL_PASSWORD": "", "EMAIL_PASSWORD_FILE": ""}
LOOPBACK_OF_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Who listens on all addresses -> where it is reached from this machine."""


@dataclass(frozen=True)
class Options:
    """What the command line of `vigie up` says."""

    home: Path
    port: int = 3000
    host: str = "127.0.0.1"
    demo: bool = True
    json_logs: bool = False
    self_monitoring: bool = True
    alerting: bool = True
    inbox: bool = True
    healthcheck: bool = True
    tls: bool = field(default_factory=lambda: bool(os.environ.get("VIGIE_TLS_CERT_FILE")))

    @property
    def url(self) -> str:
        """The front door's address for a browser: by name where that is this machine's own."""
        return self._address("localhost" if self.host in {"127.0.0.1", *LOOPBACK_OF_ALL} else self.host)

    @property
    def own_url(self) -> str:
        """The front door's address for our own processes, with nothing to resolve."""
        return self._address(LOOPBACK_OF_ALL.get(self.host, self.host))

    def _address(self, host: str) -> str:
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True)
class Context:
    """What a unit is made from."""

    options: Options
    home: Home
    variables: Mapping[str, str]
    """Where Kafka, MongoDB and Redis are, and how the topics are divided."""
    printer: Callable[[str], Callable[[str], None]] = field(repr=False)
    """Name of a process -> where its lines go."""
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once nothing may be started any more."""

    def module(
        self, name: str, arguments: list[str], ready: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> Process:
        """A process that runs a Python module of ours. An empty value of `env` means that it has no such variable."""
        own = env or {}
        variables = {**FRUGAL, **os.environ, "VIGIE_LOG_FORMAT": "json", **self.variables, **own}
        return Process(
            name,
            [sys.executable, "-m", *arguments],
            log_path=self.home.directory / f"{name}.log",
            ready=ready,
            env={name: value for name, value in variables.items() if value or name not in own},
            on_line=self.printer(name),
            stopping=self.stopping,
        )


def services(context: Context) -> list[list[Unit]]:
    """Aggregator and front door, then who sends to them. Stopped in reverse: who takes data in before who stores it."""
    options = context.options
    main = [Unit(_inbox(context), essential=False, stop_grace_s=5)] if options.inbox else []
    main += [Unit(_aggregator(context), stop_grace_s=30)]
    main += [Unit(_alerting(context), stop_grace_s=30)] if options.alerting else []
    main += [Unit(_healthcheck(context), stop_grace_s=30)] if options.healthcheck else []
    stages = [[*main, Unit(_front(context), stop_grace_s=30)]]
    senders = [_self_monitoring(context), _agent(context)] if options.self_monitoring else []
    senders += [_demo(context)] if options.demo else []
    stages.append([Unit(sender, essential=False, stop_grace_s=5) for sender in senders])
    return stages


def _aggregator(context: Context) -> Process:
    [port] = _ports(context, "aggregator")
    ready = http_ready(f"http://127.0.0.1:{port}/health/ready")
    env = {"VIGIE_AGGREGATOR_HOST": "127.0.0.1", "VIGIE_AGGREGATOR_PORT": str(port)}
    return context.module("aggregator", ["vigie_aggregator"], ready, env)


def _instance(home: Home) -> str:
    """The same for each start, and no other `vigie up` has it."""
    return f"vigie-up-{uuid5(NAMESPACE_URL, f'{socket.gethostname()}{home.directory.resolve()}')}"


def _alerting(context: Context) -> Process:
    port, smtp, http = _ports(context, "alerting", *INBOX_PORTS)
    env = {
        "VIGIE_ALERTING_HOST": "127.0.0.1",
        "VIGIE_ALERTING_PORT": str(port),
        # The only one: after a crash it need not wait until Kafka gives up the one before.
        "VIGIE_ALERTING_INSTANCE": os.environ.get("VIGIE_ALERTING_INSTANCE") or _instance(context.home),
        "VIGIE_ANONYMOUS": anonymous(),
        "VIGIE_EXTERNAL_URL": os.environ.get("VIGIE_EXTERNAL_URL") or context.options.url,
        **OF_THE_FRONT_DOOR,
        **secrets.variables(context.home, secrets.JWT_SECRET, secrets.ENCRYPTION_KEYS),
        **channels(context.options, smtp, http),
    }
    return context.module("alerting", ["vigie_alerting"], http_ready(f"http://127.0.0.1:{port}/health/ready"), env)


def _healthcheck(context: Context) -> Process:
    [port] = _ports(context, "healthcheck")
    env = {
        "VIGIE_HEALTHCHECK_HOST": "127.0.0.1",
        "VIGIE_HEALTHCHECK_PORT": str(port),
        # The only one, as alerting is.
        "VIGIE_HEALTHCHECK_INSTANCE": os.environ.get("VIGIE_HEALTHCHECK_INSTANCE") or _instance(context.home),
        "VIGIE_ANONYMOUS": anonymous(),
        "VIGIE_EXTERNAL_URL": os.environ.get("VIGIE_EXTERNAL_URL") or context.options.url,
        **OF_THE_FRONT_DOOR,
        **secrets.variables(context.home, secrets.JWT_SECRET, secrets.ENCRYPTION_KEYS),
        **probed(context.options),
        "VIGIE_OWN_TARGETS": os.environ.get("VIGIE_OWN_TARGETS") or ",".join(own_targets(context)),
    }
    return context.module(
        "healthcheck", ["vigie_healthcheck"], http_ready(f"http://127.0.0.1:{port}/health/ready"), env
    )


def _inbox(context: Context) -> Process:
    smtp, http = _ports(context, *INBOX_PORTS)
    arguments = ["--directory", str(context.home.inbox), "--smtp-port", str(smtp), "--http-port", str(http)]
    ready = http_ready(f"http://127.0.0.1:{http}/health/ready")
    return context.module("inbox", ["vigie_standalone.inbox", *arguments], ready)


def _front(context: Context) -> Process:
    options = context.options
    elsewhere = [name for name, runs in (("alerting", options.alerting), ("healthcheck", options.healthcheck)) if runs]
    ports = _ports_of(context, *elsewhere).items()
    forward = [word for name, port in ports for word in ("--forward", f"{name}=http://127.0.0.1:{port}")]
    inbox = ["--inbox", str(context.home.inbox)] if options.inbox else []
    return context.module(
        "front",
        ["vigie_standalone.serve_front", "--host", options.host, "--port", str(options.port), *forward, *inbox],
        http_ready(f"{options.own_url}/health/ready"),
        {"VIGIE_ANONYMOUS": anonymous(), **secrets.variables(context.home, secrets.JWT_SECRET)},
    )


def _ports(context: Context, *names: str) -> list[int]:
    return list(_ports_of(context, *names).values())


def _ports_of(context: Context, *names: str) -> dict[str, int]:
    return Ports(context.home.directory).get(names)


def caught(options: Options, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The channels whose notifications the inbox gets: those for which the operator named no server, if it runs."""
    if not (options.alerting and options.inbox):
        return []
    return [name for name, variables in OUTSIDE.items() if not any(environment.get(one) for one in variables)]


def channels(options: Options, smtp: int, http: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Settings by which alerting sends to the inbox, on these ports, what is to be caught.

    Webhooks may lead to this machine as long as nobody but this machine may ask for them."""
    names = caught(options, environment)
    found: dict[str, str] = {}
    if "Slack" in names:
        found["SLACK_WEBHOOK_URL"] = f"http://127.0.0.1:{http}{SLACK_PATH}"
    if "e-mail" in names:
        found |= {"EMAIL_SMTP_HOST": "127.0.0.1", "EMAIL_SMTP_PORT": str(smtp), "EMAIL_SMTP_TLS": "none", **NO_LOGIN}
        found |= {name: environment.get(name) or address for name, address in EXAMPLE_ADDRESSES.items()}
    if options.inbox and options.host in LOOPBACK and not environment.get("VIGIE_ALERT_NETWORKS"):
        found["VIGIE_ALERT_NETWORKS"] = "127.0.0.0/8"
    return found


def own_targets(context: Context) -> list[str]:
    """What runs here, as targets: `name=url`. Kafka, MongoDB and Redis healthcheck knows by itself."""
    options = context.options
    alone = ["aggregator", *(["alerting"] if options.alerting else []), "healthcheck"]
    at = {name: f"http://127.0.0.1:{port}/health/ready" for name, port in _ports_of(context, *alone).items()}
    at |= {name: f"{options.own_url}/internal/ready/{name}" for name in ("ingest", "api", "push")}
    found = [f"vigie-{name}={url}" for name, url in at.items()]
    if options.demo:
        [port] = _ports(context, DEMO_PORT)
        found += [f"booking/{service.name}={demo_health.url(port, service)}" for service in SERVICES]
    return found


def probed(options: Options, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Targets may be on this machine as long as nobody but this machine may ask for them."""
    if options.host not in LOOPBACK or environment.get("VIGIE_PROBE_NETWORKS"):
        return {}
    return {"VIGIE_PROBE_NETWORKS": "127.0.0.0/8,::1/128"}


def anonymous() -> str:
    """What callers without a credential may do. On one's own machine nobody needs one: the first curl works."""
    default = os.environ.get("VIGIE_DEFAULT_TENANT") or "default"
    return os.environ.get("VIGIE_ANONYMOUS") or f"{default}:read,write,configure,telemetry"


def in_words(rule: AnonymousRule) -> str:
    """The end of the sentence "Without a credential callers may ..."."""
    here = " and ".join(right for right in (AnonymousAccess.READ, AnonymousAccess.WRITE) if right in rule.rights)
    parts = [f"{here} in the tenant {rule.tenant}"] if here else []
    if AnonymousAccess.TELEMETRY in rule.rights:
        parts.append("send node telemetry for an active tenant that they name")
    return ", and ".join(parts) or "do nothing"


def partitions(recorded: int | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Into how many partitions the topics are divided, for the services: as they were made, if they were.

    Nothing when the operator says it, and for a new Kafka of the operator's, which more machines may come to share.
    """
    if environment.get("VIGIE_PARTITIONS") or (recorded is None and environment.get("KAFKA_BOOTSTRAP_SERVERS")):
        return {}
    return {"VIGIE_PARTITIONS": str(recorded or PARTITIONS)}


def _self_monitoring(context: Context) -> Process:
    arguments = ["vigie_standalone.self_monitoring", "--url", context.options.own_url]
    key = (secrets.read(context.home, secrets.OWN_KEY) if needs_own_key() else os.environ.get("VIGIE_TOKEN")) or ""
    return context.module("self-monitoring", arguments, lambda: True, {"VIGIE_API_KEY": key})


def host_name() -> str:
    """What this machine is called in Vigie: VIGIE_AGENT_HOST, else its own name, as far as a host may be called so."""
    wanted = os.environ.get("VIGIE_AGENT_HOST") or socket.gethostname()
    return re.sub(r"[^A-Za-z0-9_.-]", "-", wanted).lstrip("-._")[:128] or "localhost"


def _agent(context: Context) -> Process:
    """Of this machine; with its defaults, but for where its state is and who it speaks for."""
    env = {
        "VIGIE_URL": context.options.own_url,
        "VIGIE_API_KEY": "",
        "VIGIE_API_KEY_FILE": str(context.home.secrets / secrets.AGENT_KEY),
        "VIGIE_AGENT_HOST": host_name(),
        "VIGIE_AGENT_STATE_DIR": os.environ.get("VIGIE_AGENT_STATE_DIR") or str(context.home.directory / "agent"),
    }
    return context.module("agent", ["vigie_agent", "run"], lambda: True, env)


def needs_own_key() -> bool:
    """Whether Vigie has to make a key to send its own measurements: callers without one may not, and none is given."""
    may_write = AnonymousAccess.WRITE in AnonymousRule.parse(anonymous()).rights
    return not may_write and not os.environ.get("VIGIE_TOKEN")


def _demo(context: Context) -> Process:
    home, options = context.home, context.options
    [port] = _ports(context, DEMO_PORT)
    arguments = ["vigie_standalone", "demo", "--url", options.own_url, "--health-port", str(port)]
    arguments += ["--data-dir", str(home.directory), "--backfill", FIRST_BACKFILL, "--once"]
    return context.module("demo", arguments, lambda: True)
