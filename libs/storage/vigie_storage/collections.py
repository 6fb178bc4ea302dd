"""Every collection of Vigie in MongoDB: its name, what a document of it is, whose it is, its indexes and its end.

No other module names a collection (a lint holds that); `vigie_storage.tenancy` opens them. Who reads and writes the
documents stands beside their shape: `series`, `windows`, `latest`, `partitions`, `reports`, `hosts`, `alerts`, `usage`,
`topics`; those of users, keys, sessions and tenants in `vigie_identity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pymongo import ASCENDING, DESCENDING
from vigie_contracts import apps, telemetry
from vigie_contracts.limits import IDEMPOTENCY_TTL_S
from vigie_contracts.tiers import TIERS, Tier
from vigie_contracts.topics import REPORTS as REPORTS_TOPIC
from vigie_contracts.topics import SAMPLES as SAMPLES_TOPIC


class TenantIn(StrEnum):
    """Where a document says whose it is."""

    FIELD = "tenant"
    ID = "_id"
    """The document is the tenant's only one."""
    ID_FIELD = "_id.t"


@dataclass(frozen=True, slots=True)
class Index:
    """`keys` in order, ascending; one that begins with `-` is descending."""

    keys: tuple[str, ...]
    unique: bool = False
    only: Mapping[str, object] | None = None
    """Which documents are in the index: those that match this. None for all."""

    @property
    def directions(self) -> list[tuple[str, int]]:
        """As pymongo wants them."""
        return [(key.removeprefix("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in self.keys]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Documents are removed so long after the date in `field`. `after` None: the settings say how long."""

    field: str
    after: timedelta | None = timedelta(0)


@dataclass(frozen=True, slots=True)
class Collection:
    """`tenant` None: the documents belong to no tenant."""

    name: str
    tenant: TenantIn | None
    indexes: tuple[Index, ...] = ()
    expiry: Expiry | None = None


def _by_tenant(*keys: str, unique: bool = False) -> Index:
    return Index((TenantIn.FIELD, *keys), unique)


_LOG_LIFE: Final = timedelta(milliseconds=int(SAMPLES_TOPIC.config["retention.ms"]))
REPORT_LOG_LIFE: Final = timedelta(milliseconds=int(REPORTS_TOPIC.config["retention.ms"]))
"""As long as a record may be read again, its report must be known."""
REQUEST_KEY_LIFE: Final = timedelta(seconds=IDEMPOTENCY_TTL_S) + _LOG_LIFE
"""A repeat that was sent within the first is read at most the second later."""
USAGE_LIFE: Final = timedelta(days=400)
API_KEY_LIFE: Final = timedelta(days=90)
"""How long a key that has ended is shown."""
_DAYS_LIFE: Final = timedelta(milliseconds=telemetry.RETENTION_MS)

# Samples. Written by ingest (series) and aggregator.
SERIES: Final = Collection(
    "series",
    TenantIn.FIELD,
    (
        _by_tenant("name", "_id"),  # pages in the order of (name, _id) are read from the index and not sorted
        _by_tenant("lv"),
        _by_tenant("partition", "ordinal", unique=True),
        Index((TenantIn.FIELD, "business"), only={"business": True}),
    ),
)
"""`_id`: the fingerprint, signed. See `series.document`."""
TENANT_SERIES: Final = Collection("tenant_series", TenantIn.ID)
"""How many series a tenant has, in all and in each partition. See `series.document`."""
LATEST: Final = Collection("latest", TenantIn.ID_FIELD, (Index(("p",)),))
"""The latest values of a chunk. `_id`: {t, p, c}. See `latest`."""
PARTITIONS: Final = Collection("partitions", None)
"""How far a partition is counted. `_id`: "<topic>/<partition>". See `partitions.document`."""
REQUEST_KEYS: Final = Collection("requests", None, expiry=Expiry("expires"))
"""Request keys that were counted. `_id`: {p, k}; the key is a hash that the tenant is part of."""
OWNERS: Final = Collection("owners", None)
"""In which server session a partition is committed. `_id`: "<topic>/<partition>"."""
TOPICS: Final = Collection("topics", None)
"""Partitions and cluster of a topic. `_id`: its name."""
RESTORES: Final = Collection("restores", None)
"""That a backup is being restored, or partitions divided. See `unfinished`."""

_WINDOWS: Final[Mapping[str, Collection]] = {
    tier.name: Collection(f"windows_{tier.name}", TenantIn.ID_FIELD, expiry=Expiry("expires")) for tier in TIERS
}


def windows(tier: Tier) -> Collection:
    """The windows of a tier. `_id`: {t, p, c, w}. See `windows.document`."""
    return _WINDOWS[tier.name]


# Reports. Written by aggregator. See `reports.documents`.
REPORTS: Final = Collection(
    "reports",
    TenantIn.FIELD,
    (
        _by_tenant("kind", "at", "_id"),
        # Of apps: a tenant has many. A node is the only one of its tenant, and needs no index by subject.
        Index((TenantIn.FIELD, "subject", "at", "_id"), only={"kind": apps.KIND}),
    ),
    Expiry("at", None),
)
"""A report of any kind, whole. `_id`: its own, which its tenant is part of."""
APPS: Final = Collection("apps", TenantIn.FIELD, (_by_tenant("app", unique=True),), Expiry("last", None))
"""An app that has reported. `_id`: {tenant, app}. Kept as long as its newest report."""
TELEMETRY_LATEST: Final = Collection("telemetry_latest", TenantIn.ID, (Index(("at",)),))
"""A tenant's newest report."""
TELEMETRY_HOURS: Final = Collection("telemetry_hours", TenantIn.FIELD, expiry=Expiry("hour", _DAYS_LIFE))
"""A tenant's UTC hour with a report. `_id`: {tenant, hour}."""
TELEMETRY_DAYS: Final = Collection("telemetry_days", TenantIn.FIELD, expiry=Expiry("at", _DAYS_LIFE))
"""A tenant's local day with a report. `_id`: {zone, day, tenant}."""
TELEMETRY_PLATFORM_DAYS: Final = Collection("telemetry_platform_days", None, expiry=Expiry("at", _DAYS_LIFE))
"""A local day of all tenants of a partition of the topic of reports. `_id`: {zone, day, partition}."""

# Hosts. Reports written by aggregator, the others by api. See the modules of `hosts`.
HOST_REPORTS: Final = Collection(
    "host_reports", TenantIn.FIELD, (_by_tenant("host", "-at"),), Expiry("expires")
)  # fmt: skip
"""A report of a host, whole. `_id`: that of the report."""
HOST_LATEST: Final = Collection("host_latest", TenantIn.FIELD, (_by_tenant("host", unique=True),))
"""The newest report of a host. `_id`: "<tenant>/<host>"."""
HOSTS: Final = Collection("hosts", TenantIn.FIELD, (_by_tenant("host", unique=True),))
"""The agents that asked for the configuration of a host. `_id`: "<tenant>/<host>"."""
SITES: Final = Collection(
    "sites", TenantIn.FIELD, (_by_tenant("site", unique=True), _by_tenant("host", "site"))
)  # fmt: skip
"""What is on which host. `_id`: "<tenant>/<site>"."""
MONITORING_CONFIG: Final = Collection("monitoring_config", TenantIn.FIELD, (_by_tenant("_id"),))
"""How hosts are watched. `_id`: "<tenant>/<host>", without a host what holds for the tenant."""

# Alerts. Written by alerting. See the modules of `alerts`.
ALERTS: Final = Collection(
    "alerts",
    TenantIn.FIELD,
    (
        _by_tenant("-starts", "_id"),
        _by_tenant("state", "-starts"),
        _by_tenant("search"),
        Index(("rule",)),
        Index(("due",), only={"due": {"$exists": True}}),
    ),
    Expiry("expires"),
)
"""What every alert is now. `_id`: its fingerprint."""
ALERT_CHECKPOINTS: Final = Collection("alert_checkpoints", None)
"""Up to when the rules of a partition were evaluated. `_id`: "<topic>/<partition>"."""
ALERT_TRANSITIONS: Final = Collection(
    "alert_transitions",
    TenantIn.FIELD,
    (_by_tenant("fingerprint", "order"), _by_tenant("stored")),
    Expiry("at", None),
)
"""The ledger: every step of every alert. `_id`: that of the transition."""
ALERT_OUTBOX: Final = Collection(
    "alert_outbox",
    TenantIn.FIELD,
    (
        Index(("due",), only={"state": "pending"}),
        Index(("queue", "order"), only={"state": "pending"}),
        _by_tenant("state", "-settled"),
        _by_tenant("fingerprints", "order"),
    ),
    Expiry("expires"),
)
"""What is to be sent, was sent, or cannot be. `_id`: made of transition and channel."""
ALERT_GROUPS: Final = Collection("alert_groups", TenantIn.FIELD, (_by_tenant("_id"), Index(("due",))))
"""Alerts that one receiver is told of together. `_id`: made of tenant, route, receiver and the group's labels."""
ALERT_GROUP_MEMBERS: Final = Collection(
    "alert_group_members",
    TenantIn.FIELD,
    (
        _by_tenant("fingerprint"),
        Index(("group", "due")),
        Index((TenantIn.FIELD, "held", "due"), only={"held": True}),
    ),
)
"""What a receiver was told of an alert. `_id`: "<group>/<fingerprint>"."""
ALERT_DECISIONS: Final = Collection(
    "alert_decisions", TenantIn.FIELD, (_by_tenant("fingerprint", "at"),), Expiry("at", None)
)  # fmt: skip
"""Why somebody was told of a step, or not. `_id`: made of what was decided."""
ALERT_CHANNELS: Final = Collection("alert_channels", TenantIn.FIELD, (_by_tenant("name", unique=True),))
"""A tenant's channels, with their secrets. `_id`: an id of its own."""
ALERT_RULES: Final = Collection(
    "alert_rules", TenantIn.FIELD, (_by_tenant("order"), Index(("due",), only={"published": False}))
)  # fmt: skip
"""A tenant's rules. `_id`: that of the rule."""
ALERT_RULE_VERSIONS: Final = Collection(
    "alert_rule_versions", TenantIn.FIELD, (_by_tenant("rule", "-version"),), Expiry("expires")
)  # fmt: skip
"""What they were. `_id`: "<rule>/<version>"."""
ALERT_TENANTS: Final = Collection("alert_tenants", TenantIn.ID)
"""For which tenants the shipped rules were made."""
ALERT_CONFIGURATION: Final = Collection(
    "alert_configuration",
    TenantIn.FIELD,
    (_by_tenant("kind", "name"), Index(("changed",))),
    Expiry("expires"),
)
"""What a tenant configures about being told. `_id`: "<tenant>/<kind>/<name>"."""
ALERT_ESCALATIONS: Final = Collection(
    "alert_escalations",
    TenantIn.FIELD,
    (Index(("due",), only={"open": True}), _by_tenant("fingerprint", "-updated"), _by_tenant("open")),
    Expiry("expires"),
)
"""Where an alert stands in a chain of people to tell. `_id`: made of tenant, episode and chain."""
ALERT_HANDOVERS: Final = Collection("alert_handovers", TenantIn.FIELD, (Index(("due",)),))
"""Who was told last to be on call. `_id`: "<tenant>/<schedule>"."""
ALERT_MESSAGES: Final = Collection(
    "alert_messages",
    TenantIn.FIELD,
    (Index(("due",)), _by_tenant("conversation", "-posted"), _by_tenant("fingerprints", "open"), _by_tenant("open")),
    Expiry("expires"),
)
"""A message that is edited while its alerts go on. `_id`: 128 random bits, which its buttons have."""

# Health. Written by healthcheck, and the checks by aggregator. See the modules of `health`.
HEALTH_TARGETS: Final = Collection(
    "health_targets",
    TenantIn.FIELD,
    (
        _by_tenant("order"),
        Index((TenantIn.FIELD, "name"), unique=True, only={"deleted": False}),
        Index(("due",), only={"published": False}),
    ),
)
"""A tenant's targets. `_id`: that of the target."""
HEALTH_STATES: Final = Collection(
    "health_states",
    TenantIn.FIELD,
    (
        _by_tenant("order"),
        _by_tenant("state", "order"),
        _by_tenant("stored"),
        Index(("asked",), only={"asked": {"$gt": 0}}),
    ),
    Expiry("expires"),
)
"""What every target is now. `_id`: that of the target."""
HEALTH_SIGHTINGS: Final = Collection("health_sightings", TenantIn.FIELD, (Index(("target",)),), Expiry("expires"))
"""How a target last looked from a region. `_id`: "<target>/<region>"."""
HEALTH_BEATS: Final = Collection("health_beats", TenantIn.FIELD, (Index(("target",)),))
"""When a heartbeat was last heard. `_id`: the hash of its token."""
HEALTH_INCIDENTS: Final = Collection(
    "health_incidents",
    TenantIn.FIELD,
    (
        _by_tenant("target", "-started"),
        _by_tenant("-started", "_id"),
        Index((TenantIn.FIELD, "target"), unique=True, only={"open": True}),
    ),
    Expiry("expires"),
)
"""A time in which a target was down, of each at most one that is open. `_id`: "<target>/<start>"."""
HEALTH_CHECKS: Final = Collection(
    "health_checks", TenantIn.FIELD, (_by_tenant("target", "-at", "_id"),), Expiry("at", None)
)  # fmt: skip
"""One result of one probe. `_id`: that of the check."""

# Written by api, and the results by aggregator. See `commands`.
COMMANDS: Final = Collection(
    "commands",
    TenantIn.FIELD,
    (
        Index((TenantIn.FIELD, "host", "at"), only={"state": "pending"}),
        Index((TenantIn.FIELD, "host", "service"), unique=True, only={"state": "pending"}),
    ),
    Expiry("expires"),
)
"""What an agent was asked to do. `_id`: that of the command."""

# Written by ingest and api.
TENANT_USAGE: Final = Collection("tenant_usage", TenantIn.FIELD, (_by_tenant("day"),), Expiry("day", USAGE_LIFE))
"""What a tenant used on a UTC day. `_id`: {tenant, day}. See `usage`."""

# Identity. `_id`: an id of its own, unless said otherwise. See the modules of `vigie_identity`.
TENANTS: Final = Collection("tenants", TenantIn.ID, (Index(("name_key",), unique=True), Index(("status", "updated"))))
USERS: Final = Collection(
    "users",
    TenantIn.FIELD,
    (_by_tenant("_id"), _by_tenant("name_key", unique=True), Index(("further.tenant", "_id"))),
)
API_KEYS: Final = Collection("api_keys", TenantIn.FIELD, (_by_tenant("_id"),), Expiry("ends", API_KEY_LIFE))
SESSIONS: Final = Collection("sessions", TenantIn.FIELD, (_by_tenant("user", "_id"),), Expiry("until"))
LICENCES: Final = Collection("licences", TenantIn.FIELD, (_by_tenant("_id"), Index(("deleted", "expires"))))
AUDIT: Final = Collection("audit", TenantIn.FIELD, (_by_tenant("-_id"),), Expiry("expires"))
IDENTITY_STATE: Final = Collection("identity_state", TenantIn.FIELD)
"""What was done once for all. `_id`: what."""

ALL: Final = (
    SERIES, TENANT_SERIES, LATEST, PARTITIONS, REQUEST_KEYS, OWNERS, TOPICS, RESTORES, *_WINDOWS.values(),
    REPORTS, APPS, TELEMETRY_LATEST, TELEMETRY_HOURS, TELEMETRY_DAYS, TELEMETRY_PLATFORM_DAYS, TENANT_USAGE,
    HOST_REPORTS, HOST_LATEST, HOSTS, SITES, MONITORING_CONFIG,
    ALERTS, ALERT_CHECKPOINTS, ALERT_TRANSITIONS, ALERT_OUTBOX, ALERT_CHANNELS,
    ALERT_GROUPS, ALERT_GROUP_MEMBERS, ALERT_DECISIONS,
    ALERT_ESCALATIONS, ALERT_HANDOVERS, ALERT_MESSAGES,
    ALERT_RULES, ALERT_RULE_VERSIONS, ALERT_TENANTS, ALERT_CONFIGURATION,
    HEALTH_TARGETS, HEALTH_STATES, HEALTH_SIGHTINGS, HEALTH_BEATS, HEALTH_INCIDENTS, HEALTH_CHECKS,
    COMMANDS,
    TENANTS, USERS, API_KEYS, SESSIONS, LICENCES, AUDIT, IDENTITY_STATE,
)  # fmt: skip
