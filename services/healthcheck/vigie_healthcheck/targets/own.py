"""Vigie's own services and servers, as targets of the default tenant. Pure.

Whoever starts Vigie names the services; where Kafka, MongoDB and Redis are, and with which login, the settings say
already. Logins are secrets of the targets: no URL has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from msgspec.structs import replace
from vigie_contracts.targets import OWN, Secrets, Target
from vigie_runtime.settings import Settings

from vigie_healthcheck.probes.registry import SCHEMES

GROUP: Final = "vigie"
INTERVAL_MS: Final = 5_000
TIMEOUT_MS: Final = 3_000
FAILURES: Final = 3
"""In a row until one is down: a service that is started anew needs some seconds."""
_MONGODB_PARAMETERS: Final = frozenset({"authsource", "tls", "ssl"})
_OF_TRUST: Final = frozenset(
    {"tlscafile", "tlsinsecure", "tlsallowinvalidcertificates", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data",
     "ssl_cert_reqs", "ssl_check_hostname"}
)  # fmt: skip
"""Parameters of MongoDB's and Redis' URLs that say whom to believe beside the system's authorities: a probe believes
those alone, and a certificate that the clients take must not look like an outage."""


@dataclass(frozen=True, slots=True)
class Own:
    """A target that is wanted, without id and tenant."""

    target: Target
    secrets: Secrets = field(default_factory=Secrets, repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done about targets that are there, so that they are those that are wanted."""

    created: list[Own] = field(default_factory=list[Own])
    changed: list[tuple[Target, Own]] = field(default_factory=list[tuple[Target, Own]])
    """Before, and what it is to be: what people set of it stays."""
    deleted: list[Target] = field(default_factory=list[Target])
    taken: list[str] = field(default_factory=list[str])
    """Names that people gave to targets of theirs."""


def named(text: str) -> list[Own]:
    """The targets of a comma-separated list `name=url`, or `group/name=url`. Raises ValueError, with a sentence."""
    found: dict[str, Own] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, url = word.partition("=")
        group, _, name = name.strip().rpartition("/")
        try:
            parts = urlsplit(url.strip())
            kind = SCHEMES.get(parts.scheme, "") if parts.hostname and parts.port != 0 else ""
        except ValueError:
            kind, parts = "", urlsplit("")
        if not name or not kind or not name.isprintable() or name in found:
            raise ValueError(
                f"{name!r} must be a name of its own with a URL: vigie-api=http://10.0.0.5:8080/health/ready"
            )
        if parts.username or parts.password:
            raise ValueError(f"{name!r} must have a URL without a login")
        found[name] = Own(_target(name, group or GROUP, kind, url.strip()))
    return list(found.values())


def servers(settings: Settings) -> Iterator[Own]:
    """Kafka, MongoDB and Redis, each address of them, with their logins."""
    protocol = settings.kafka_security_protocol
    password = settings.kafka_sasl_password.get_secret_value() if settings.kafka_sasl_password else ""
    login = Secrets(username=settings.kafka_sasl_username or "", password=password)
    yield from _each(
        "kafka",
        [
            f"{'kafkas' if protocol.endswith('SSL') else 'kafka'}://{one}"
            for one in _hosts(settings.kafka_bootstrap_servers)
        ],
        login if protocol.startswith("SASL") else Secrets(),
        {"saslMechanism": settings.kafka_sasl_mechanism} if protocol.startswith("SASL") else {},
        verify=settings.kafka_ssl_ca_file is None,
    )
    parts = urlsplit(settings.mongodb_uri)
    if parts.scheme == "mongodb":  # of mongodb+srv the members are not known here
        asked = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() in _MONGODB_PARAMETERS]
        if "authsource" not in {name.lower() for name, _ in asked} and parts.path.strip("/"):
            asked.append(("authSource", parts.path.strip("/")))
        query = f"/?{urlencode(asked)}" if asked else ""
        userinfo, _, hosts = parts.netloc.rpartition("@")
        urls = [f"mongodb://{host}{query}" for host in _hosts(hosts)]
        yield from _each("mongodb", urls, _login(userinfo), verify=not _trusts_others(parts.query))
    parts = urlsplit(settings.redis_url)
    if parts.scheme != "unix":
        userinfo, _, host = parts.netloc.rpartition("@")
        verify = not _trusts_others(parts.query)
        yield from _each("redis", [f"{parts.scheme}://{host}"], _login(userinfo), verify=verify)


def plan(present: Sequence[tuple[Target, Secrets | None]], wanted: Sequence[Own]) -> Plan:
    """`present`: targets that are Vigie's, or have the name of one that is wanted, with their secrets where those can
    be read."""
    done = Plan()
    there = {target.name: (target, secrets) for target, secrets in present}
    for own in wanted:
        before, secrets = there.get(own.target.name, (None, None))
        if before is None:
            done.created.append(own)
        elif before.managed_by != OWN:
            done.taken.append(before.name)
        else:
            told = _told(before, own.target)
            if told != before or secrets != own.secrets:
                done.changed.append((before, Own(told, own.secrets)))
    names = {own.target.name for own in wanted}
    done.deleted.extend(one for one, _ in present if one.managed_by == OWN and one.name not in names)
    return done


def _told(before: Target, own: Target) -> Target:
    """Where it is and how it is spoken to is as it is wanted, all else as people have set it."""
    options = {**before.options, **own.options}
    return replace(before, url=own.url, kind=own.kind, options=options, verify=own.verify)


def _each(
    name: str, urls: Sequence[str], secrets: Secrets, options: dict[str, str] | None = None, *, verify: bool = True
) -> Iterator[Own]:
    for number, url in enumerate(urls, 1):
        called = name if len(urls) == 1 else f"{name}-{number}"
        target = _target(f"{GROUP}-{called}", GROUP, name, url)
        yield Own(replace(target, options=options or {}, verify=verify and target.verify), secrets)


def _target(name: str, group: str, kind: str, url: str) -> Target:
    return Target(
        id="",
        tenant="",
        name=name,
        kind=kind,
        url=url,
        group=group,
        interval_ms=INTERVAL_MS,
        timeout_ms=TIMEOUT_MS,
        failure_threshold=FAILURES,
        verify=not _on_this_machine(url),
        managed_by=OWN,
    )


def _on_this_machine(url: str) -> bool:
    """There nobody stands in between, and a certificate seldom names it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trusts_others(query: str) -> bool:
    return any(name.lower() in _OF_TRUST for name, _ in parse_qsl(query))


def _hosts(text: str) -> list[str]:
    return [host for host in (part.strip() for part in text.split(",")) if host]


def _login(userinfo: str) -> Secrets:
    username, _, password = userinfo.partition(":")
    return Secrets(username=unquote(username), password=unquote(password))
