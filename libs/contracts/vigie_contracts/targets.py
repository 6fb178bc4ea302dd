"""Target: the value of a record on `vigie.targets.v1`, JSON. What is watched, and how it is asked.

Times are milliseconds. What may be secret (headers, password, body) travels in `sealed`, encrypted where there is a
key.
"""

from __future__ import annotations

from typing import Final

import msgspec

DEFAULT_INTERVAL_MS: Final = 30_000
DEFAULT_TIMEOUT_MS: Final = 5_000
MIN_INTERVAL_MS: Final = 1_000
MAX_INTERVAL_MS: Final = 24 * 3_600_000
MAX_TIMEOUT_MS: Final = 60_000
OWN: Final = "vigie"
"""Who manages the targets that are Vigie's own services and servers. People may change them, but they come back."""
HEARTBEAT: Final = "heartbeat"
"""The kind of targets that are not asked, but are to be heard of."""
_HEARTBEAT_PERIOD_MS: Final = 10_000


class JsonCondition(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """What must stand at a place of a JSON answer: `path` is JSONPath, `$.status`; `equals` None: anything."""

    path: str
    equals: str | float | bool | None = None
    """Compared with the value itself; of a string, a number that is equal as a number counts."""


class Expectations(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """What an answer must be. What is not said is not looked at."""

    statuses: list[str] = []
    """Of HTTP: `200`, `2xx`, `200-204`. Empty: any from 200 to 299."""
    body_matches: list[str] = []
    """Regular expressions (RE2) that must be found in the answer: the body, a banner, the answer's records."""
    body_not_matches: list[str] = []
    json: list[JsonCondition] = []
    max_bytes: int = 0
    """0: whatever a probe reads at most."""
    slow_ms: float = 0.0
    """An answer that takes longer is degraded; 0: never."""
    expires_within_ms: int = 0
    """A certificate that ends so soon is degraded; 0: never."""


class Maintenance(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """A time in which a target may be away: from `starts_at` to `ends_at`, and with `daily` or `weekly` again at the
    same time of the day in `time_zone`."""

    starts_at: int
    ends_at: int
    weekly: bool = False
    daily: bool = False
    time_zone: str = "UTC"
    reason: str = ""


class Target(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One thing that is watched. The replaced metrics service calls it a service: `name, url, interval, timeout,
    retries`."""

    id: str
    tenant: str
    name: str
    """The only one of its tenant."""
    kind: str
    """How it is asked: a name of the registry of probes, or `heartbeat`."""
    url: str = ""
    """Without credentials. Of a heartbeat empty."""
    enabled: bool = True
    interval_ms: int = DEFAULT_INTERVAL_MS
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    """Of one attempt, all that it does together."""
    retries: int = 0
    """Further attempts, at once, before a check has failed."""
    failure_threshold: int = 1
    """Failed checks one after the other until the target is down."""
    success_threshold: int = 1
    """Good checks one after the other until it is up again."""

    method: str = "GET"
    sealed: str = ""
    """`Secrets` as JSON, encrypted where there is a key."""
    options: dict[str, str] = {}
    """What only one kind knows: `recordType` of dns, `service` of grpc, `starttls` of smtp, ..."""
    expect: Expectations = Expectations()
    max_redirects: int = 5
    verify: bool = True
    """Whether the certificate must be one that is trusted."""

    regions: list[str] = []
    """From where it is asked beside from where its state is judged."""
    quorum: int = 0
    """How many of all these must see it down until a check has failed; 0: more than half of those that know."""

    labels: dict[str, str] = {}
    """On its samples, and so on its alerts."""
    group: str = ""
    description: str = ""
    depends_on: list[str] = []
    """Ids of targets without which it cannot be up: while one of them is down, nobody is alerted of this one."""
    maintenance: list[Maintenance] = []
    managed_by: str = ""
    """Empty: people. `vigie`: Vigie's own services; else the name of the file that it comes from."""
    public: bool = False
    """Whether the status page shows it."""

    version: int = 1
    """Of the target; each change adds 1."""
    created_at: int = 0
    created_by: str = ""
    updated_at: int = 0
    updated_by: str = ""

    @property
    def deadline_ms(self) -> int:
        """How long one attempt may take. The timeout of a heartbeat is how late it may be."""
        return DEFAULT_TIMEOUT_MS if self.kind == HEARTBEAT else min(self.timeout_ms, self.interval_ms)

    @property
    def places(self) -> int:
        """From how many places it is asked."""
        return 1 + len(self.regions)

    def needed(self, known: int) -> int:
        """How many of these must see it down, when so many know."""
        return self.quorum or known // 2 + 1

    @property
    def period_ms(self) -> int:
        """From one check to the next. A heartbeat is looked at more often than it is to come: so one that is late is
        missed soon."""
        return min(self.interval_ms, _HEARTBEAT_PERIOD_MS) if self.kind == HEARTBEAT else self.interval_ms


class Secrets(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is never shown of a target."""

    headers: dict[str, str] = {}
    username: str = ""
    password: str = ""
    body: str = ""

    def __repr__(self) -> str:
        return "Secrets(...)"
