"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from pydantic import Field, field_validator
from vigie_contracts.topics import CHECKS, TARGETS
from vigie_runtime.addresses import Networks, networks
from vigie_runtime.settings import ChecksSettings, ExternalSettings
from vigie_storage.settings import SealingSettings
from vigie_web.access_control import AccessSettings

from vigie_healthcheck.targets.checking import region_named
from vigie_healthcheck.targets.own import Own, named, servers


class HealthcheckSettings(SealingSettings, ChecksSettings, ExternalSettings, AccessSettings):
    """Read by `vigie_runtime.settings.load`."""

    healthcheck_host: str = Field(default="0.0.0.0", description="address to listen on")
    healthcheck_port: int = Field(default=8080, ge=0, le=65535, description="port to listen on")
    targets_topic: str = Field(default=TARGETS.name, min_length=1, max_length=249, description="topic of the targets")
    checks_topic: str = Field(default=CHECKS.name, min_length=1, max_length=249, description="topic of the checks")
    healthcheck_group: str = Field(
        default="vigie-healthcheck", min_length=1, description="processes of one group share the targets"
    )
    healthcheck_instance: str | None = Field(
        default=None,
        min_length=1,
        max_length=249,
        description="name that this process keeps over restarts, and no other of its group has: it has its targets "
        "back at once after a crash, and others get them only after the session time-out; unset: others get them at "
        "once after a stop, and after a crash everybody waits for the session time-out",
    )
    probe_networks: str = Field(
        default="",
        description="private networks that targets may be in, CIDRs, comma-separated; all but public addresses are "
        "refused otherwise",
    )
    probe_concurrency: int = Field(
        default=2_000,
        ge=1,
        le=50_000,
        description="checks under way at the same time; what is due beside them waits, the earliest first",
    )
    probe_references: str = Field(
        default="",
        description="addresses that can be connected to as long as this machine's network works, host:port, "
        "comma-separated: while none of them can, what cannot be reached is unknown, not down",
    )
    probe_region: str = Field(
        default="",
        description="where this process is, when it only tells the processes without a region how the targets that "
        "name this region look from there",
    )
    own_targets: str = Field(
        default="",
        description="Vigie's own services as targets of the default tenant, name=URL, comma-separated; where it is "
        "set, Kafka, MongoDB and Redis are too",
    )
    targets_file: str | None = Field(
        default=None,
        description="file of targets, YAML: they are watched for the default tenant, and changed only there",
    )

    @property
    def allowed_networks(self) -> Networks:
        return networks(self.probe_networks)

    @property
    def references(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each."""
        return _references(self.probe_references)

    @property
    def own(self) -> list[Own]:
        """Vigie's own services and servers."""
        return [*named(self.own_targets), *servers(self)] if self.own_targets else []

    @field_validator("probe_networks")
    @classmethod
    def _readable_networks(cls, text: str) -> str:
        networks(text)
        return text

    @field_validator("probe_region")
    @classmethod
    def _usable_region(cls, text: str) -> str:
        if text and not region_named(text):
            raise ValueError(f"{text!r} is no name of a region: 1 to 64 letters, digits, _, . and -")
        return text

    @field_validator("own_targets")
    @classmethod
    def _readable_targets(cls, text: str) -> str:
        named(text)
        return text

    @field_validator("probe_references")
    @classmethod
    def _readable_references(cls, text: str) -> str:
        _references(text)
        return text


def _references(text: str) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        host, _, port = word.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"{word!r} is no host and port like 1.1.1.1:53 or [2606:4700::1111]:53")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)
