"""Settings every service has, read from the environment once, frozen, passed in."""

from __future__ import annotations

import os
import re
import ssl
import sys
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from vigie_contracts import limits, telemetry
from vigie_contracts.days import zone
from vigie_contracts.series import InvalidSeriesError, validate_tenant
from vigie_contracts.tenants import tenant_id
from vigie_contracts.topics import CHECKS, COMMANDS, REPORTS, SAMPLES

from vigie_runtime.addresses import Networks, networks

EXIT_CODE = 2
PREFIX = "VIGIE_"
FILE_SUFFIX: Final = "_FILE"
MAX_SECRET_BYTES: Final = 64 * 1024

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Settings(BaseSettings):
    """A field is read from `VIGIE_<FIELD>`; the three servers from the names that everybody uses for them.

    A secret field (not shown by `repr`, or a SecretStr) is also read from the file that `<VARIABLE>_FILE` names.
    A service subclasses this; tests build it with keywords: `Settings(kafka_bootstrap_servers=..., ...)`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    kafka_bootstrap_servers: str = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        min_length=1,
        description="host:port of the brokers, comma-separated",
    )
    mongodb_uri: str = Field(
        validation_alias="MONGODB_URI",
        pattern=r"^mongodb(\+srv)?://",
        repr=False,
        description="connection string of a MongoDB replica set: mongodb://host:27017/?replicaSet=rs0",
    )
    redis_url: str = Field(
        validation_alias="REDIS_URL",
        pattern=r"^(rediss?|unix)://",
        repr=False,
        description="URL of the Redis server: redis://host:6379/0",
    )
    mongodb_database: str = Field(default="vigie", min_length=1, max_length=63, description="name of the database")

    kafka_security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT", description="how the brokers are spoken to: with TLS (SSL), with a login (SASL), or both"
    )
    kafka_sasl_mechanism: SaslMechanism = Field(
        default="SCRAM-SHA-512", description="how the login to the brokers is proved"
    )
    kafka_sasl_username: str | None = Field(default=None, description="user name of the login to the brokers")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="password of the login to the brokers")
    kafka_ssl_ca_file: str | None = Field(default=None, description="PEM file; the system's authorities when unset")
    kafka_replication_factor: int | None = Field(
        default=None,
        ge=1,
        le=7,
        description="replicas of the topics that are made; unset: 3, or all brokers when there are fewer",
    )
    kafka_session_timeout_ms: int = Field(
        default=10_000, ge=1_000, le=300_000, description="after this silence a consumer's partitions go to others"
    )
    partitions: int = Field(
        default=12,
        ge=1,
        le=4096,
        description="partitions of every topic but the dead-letter one; `vigie partitions` changes them",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least important lines that are logged"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="a JSON object per line, or lines for people"
    )
    shutdown_timeout_s: float = Field(default=25.0, gt=0, description="a stop that takes longer is cut off")

    @field_validator("kafka_ssl_ca_file")
    @classmethod
    def _usable_authority(cls, path: str | None) -> str | None:
        if path:
            try:
                ssl.create_default_context(cafile=path)
            except OSError as e:  # ssl.SSLError is one
                raise ValueError(f"names no PEM file with the certificate of an authority: {e.strerror or e}") from None
        return path

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords, then the environment, then the files that the environment names."""
        return init_settings, env_settings, _SecretFiles(settings_cls)


class _SecretFiles(PydanticBaseSettingsSource):
    """The contents of the files that `<VARIABLE>_FILE` names. The end of the last line is not part of a secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = variable_name(field_name, field)
        path = os.environ.get(variable + FILE_SUFFIX)
        if not path or not is_secret(field):
            return None, field_name, False
        if os.environ.get(variable):
            raise SettingsError(f"Set {variable} or {variable}{FILE_SUFFIX}, not both: which one counts is a guess.")
        return _read_secret(variable, path), field_name, False

    def __call__(self) -> dict[str, Any]:
        read = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in read.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is never shown, and is also read from the file that `<VARIABLE>_FILE` names."""
    return field.repr is False or "SecretStr" in str(field.annotation)


def _read_secret(variable: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            raise ValueError(f"it is longer than {MAX_SECRET_BYTES} bytes")
        return content.decode().rstrip("\r\n")
    except OSError as e:
        raise SettingsError(f"{variable}{FILE_SUFFIX} names a file that cannot be read: {e.strerror}.") from e
    except ValueError as e:
        why = "it is not UTF-8" if isinstance(e, UnicodeDecodeError) else str(e)
        raise SettingsError(f"{variable}{FILE_SUFFIX} names a file that is not usable: {why}.") from None


class SamplesSettings(Settings):
    """Of a service that has to do with samples."""

    samples_topic: str = Field(default=SAMPLES.name, min_length=1, max_length=249, description="topic of the samples")


class ReportsSettings(Settings):
    """Of a service that has to do with reports."""

    reports_topic: str = Field(default=REPORTS.name, min_length=1, max_length=249, description="topic of the reports")
    report_retention_days: int = Field(
        default=90,
        ge=1,
        le=400,
        description="days for which reports are kept whole, from their own time on; "
        "history that was imported and deleted counts twice when this is raised and it is imported again",
    )

    @property
    def report_retention_ms(self) -> int:
        return self.report_retention_days * 24 * 3_600_000


class ExternalSettings(Settings):
    """Of services that tell people where to look."""

    external_url: str = Field(
        default="",
        pattern=r"^(https?://[!-~]+)?$",
        description="where people reach Vigie; links in notifications and in feeds begin with it: "
        "https://vigie.example.com",
    )


class ChecksSettings(Settings):
    """Of a service that has to do with the checks of targets."""

    checks_topic: str = Field(default=CHECKS.name, min_length=1, max_length=249, description="topic of the checks")


class CommandsSettings(Settings):
    """Of a service that has to do with what agents are asked to do."""

    commands_topic: str = Field(
        default=COMMANDS.name, min_length=1, max_length=249, description="topic of the commands"
    )


class ZonesSettings(Settings):
    """Of a service that keeps or reads days of node telemetry."""

    telemetry_timezones: str = Field(
        default="UTC",
        description=f"time zones in which days are kept, IANA names, comma-separated, at most {telemetry.MAX_ZONES}; "
        "the first one is that of reads which ask for none",
    )

    @property
    def zones(self) -> tuple[str, ...]:
        """At least one, each once."""
        return tuple(self.telemetry_timezones.split(","))

    @field_validator("telemetry_timezones")
    @classmethod
    def _known_zones(cls, text: str) -> str:
        named = list(dict.fromkeys(name.strip() for name in text.split(",")))
        if len(named) > telemetry.MAX_ZONES:
            raise ValueError(f"names {len(named)} time zones")
        for name in named:
            zone(name)
        return ",".join(named)


class HttpSettings(Settings):
    """Of a service that strangers talk to."""

    cors_origins: str = Field(
        default="",
        description="origins whose pages may read the answers: `https://app.example.com`, comma-separated, or `*`",
    )
    allowed_hosts: str = Field(
        default="",
        description="names that requests may be addressed to, beside localhost: `vigie.example.com`, "
        "`*.example.com`, comma-separated, or `*`. Unset: a server that listens on loopback is asked as localhost, "
        "127.0.0.1 or [::1], any other by whatever name",
    )
    tls_cert_file: str | None = Field(default=None, description="PEM file of the certificate, with those above it")
    tls_key_file: str | None = Field(default=None, description="PEM file of its private key, not encrypted")
    trusted_proxies: str = Field(
        default="",
        description="networks of the proxies whose X-Forwarded-For is believed: CIDRs, comma-separated",
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """As browsers send them."""
        return tuple(filter(None, (word.strip().rstrip("/").lower() for word in self.cors_origins.split(","))))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names in lower case, without ports."""
        return tuple(filter(None, (word.strip().lower() for word in self.allowed_hosts.split(","))))

    @property
    def proxies(self) -> Networks:
        return networks(self.trusted_proxies)

    @field_validator("trusted_proxies")
    @classmethod
    def _readable_networks(cls, text: str) -> str:
        networks(text)
        return text

    @field_validator("cors_origins")
    @classmethod
    def _usable_origins(cls, text: str) -> str:
        for word in filter(None, (part.strip().rstrip("/") for part in text.split(","))):
            parts = urlsplit(word)
            bare = word == f"{parts.scheme}://{parts.netloc}" and "@" not in word
            if word != "*" and not (bare and parts.scheme in ("http", "https")):
                raise ValueError(f"{word!r} is no origin like https://app.example.com")
        return text

    @field_validator("allowed_hosts")
    @classmethod
    def _usable_hosts(cls, text: str) -> str:
        for word in filter(None, (part.strip() for part in text.split(","))):
            if word != "*" and re.fullmatch(r"(\*\.)?[\w.-]+|[0-9a-fA-F:.]+", word) is None:
                raise ValueError(f"{word!r} is no name of a host like vigie.example.com; it has no scheme and no port")
        return text

    @model_validator(mode="after")
    def _usable_certificate(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("VIGIE_TLS_CERT_FILE and VIGIE_TLS_KEY_FILE belong together: set both or none")
        if self.tls_cert_file is not None:
            try:  # an empty password keeps OpenSSL from asking the terminal for one
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert_file, self.tls_key_file, "")
            except OSError as e:  # ssl.SSLError is one
                raise ValueError(
                    f"VIGIE_TLS_CERT_FILE and VIGIE_TLS_KEY_FILE name no certificate with its key: {e.strerror or e}"
                ) from None
        return self


class TenantSettings(SamplesSettings, HttpSettings):
    """Of a service that takes requests, each of which belongs to a tenant."""

    default_tenant: str = Field(
        default="default",
        max_length=limits.MAX_TENANT_CHARS,
        description="the tenant of requests that name none, when their sender may choose",
    )

    @field_validator("default_tenant")
    @classmethod
    def _usable_tenant(cls, tenant: str) -> str:
        try:
            validate_tenant(tenant)
        except InvalidSeriesError as e:
            raise ValueError(e.reason) from e
        return tenant_id(tenant) or tenant


S = TypeVar("S", bound=Settings)


def load(cls: type[S]) -> S:
    """The settings of this process. When they are wrong: one sentence per problem on stderr and exit code 2."""
    try:
        return cls()  # pyright: ignore[reportCallIssue] - the environment fills the fields
    except ValidationError as e:
        for problem in explain(cls, e):
            print(problem, file=sys.stderr)
        raise SystemExit(EXIT_CODE) from None
    except SettingsError as e:
        print(e, file=sys.stderr)
        raise SystemExit(EXIT_CODE) from None


def explain(cls: type[Settings], error: ValidationError) -> list[str]:
    """A sentence per problem: the variable, what it is for, what is wrong. Values are not repeated: may be secret."""
    return [
        _sentence(cls, problem["loc"], problem["msg"], missing=problem["type"] == "missing")
        for problem in error.errors()
    ]


def _sentence(cls: type[Settings], loc: tuple[Any, ...], message: str, *, missing: bool) -> str:
    if not loc:
        return f"The settings do not fit together: {message.removeprefix('Value error, ')}."
    name = str(loc[0])
    field, variable = _field(cls, name)
    meaning = f" ({field.description})" if field is not None and field.description else ""
    if missing:
        return f"Set {variable}{meaning}: this service cannot start without it."
    return f"{variable} is not usable{meaning}: {message}."


def _field(cls: type[Settings], name: str) -> tuple[FieldInfo | None, str]:
    for field_name, field in cls.model_fields.items():
        variable = variable_name(field_name, field)
        if name.lower() in (field_name, variable.lower(), f"{PREFIX}{field_name}".lower()):
            return field, variable
    return None, name


def variable_name(field_name: str, field: FieldInfo) -> str:
    """The environment variable from which a setting is read."""
    alias = field.validation_alias if isinstance(field.validation_alias, str) else None
    return alias or f"{PREFIX}{field_name}".upper()
