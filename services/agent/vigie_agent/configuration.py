"""What Vigie says about this host: interval, sites, pattern of services. Asked every interval, kept on disk for a start
without a network, and bounded here whatever is answered."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta
from vigie_client.transport import HttpFailure, HttpTransport
from vigie_contracts.hosts import DEFAULT_INTERVAL_S, MAX_INTERVAL_S, MAX_SITES, MIN_INTERVAL_S, Count, SiteId, Text

from vigie_agent.refusals import Refused, refusal

log = logging.getLogger("vigie_agent")

PATH: Final = "/api/agents/config"
TIMEOUT_S: Final = 10.0
_MAX_FILE_BYTES: Final = 4 * 1024 * 1024


class Limits(msgspec.Struct, rename="camel", frozen=True):
    """Bytes; None: no limit."""

    memory_bytes: Count | None = None
    disk_bytes: Count | None = None


class Site(msgspec.Struct, rename="camel", frozen=True):
    """One site of this host."""

    id: SiteId
    name: Text = ""
    account: Text | None = None
    directory: Annotated[str, Meta(max_length=4_096)] | None = None
    limits: Limits = Limits()


class Actions(msgspec.Struct, rename="camel", frozen=True):
    """What Vigie would let people do. What is done is decided by the agent's own list."""

    allowed: Annotated[list[Text], Meta(max_length=16)] = []


class Configuration(msgspec.Struct, rename="camel", frozen=True):
    """The answer of Vigie. Unknown fields are ignored."""

    collection_interval: Annotated[float, Meta(gt=0, le=86_400)] = DEFAULT_INTERVAL_S
    site_stats_enabled: bool = True
    service_pattern: Annotated[str, Meta(max_length=512)] | None = None
    sites: Annotated[list[Site], Meta(max_length=MAX_SITES)] = []
    actions: Actions = Actions()
    version: Any = None

    @property
    def interval_s(self) -> float:
        """Seconds, within what is sensible."""
        return min(float(MAX_INTERVAL_S), max(float(MIN_INTERVAL_S), self.collection_interval))


class _Kept(msgspec.Struct):
    etag: str
    configuration: Configuration


class ConfigurationClient:
    """Asks for the configuration of one host. For one thread at a time."""

    def __init__(self, transport: HttpTransport, host: str, file: Path, interval_s: float, instance: str = "") -> None:
        """`interval_s` counts until Vigie was reached for the first time. `instance`: that of this installation."""
        self._transport = transport
        self._path = f"{PATH}?host={quote(host, safe='')}" + (f"&instance={instance}" if instance else "")
        self._file = file
        self._etag = ""
        self.current = Configuration(collection_interval=interval_s)
        self._load()

    def refresh(self) -> Refused | None:
        """Ask; `current` stays as it is when there is no good answer. What was wrong, or None."""
        headers = {"if-none-match": self._etag} if self._etag else {}
        answer = self._transport.get(f"{self._path}&clock={time.time_ns() // 1_000_000}", headers, TIMEOUT_S)
        if isinstance(answer, HttpFailure):
            return Refused(answer.reason, unreachable=True)
        if answer.status == 304:
            return None
        if answer.status != 200:
            return refusal(answer)
        try:
            found = msgspec.json.decode(answer.body, type=Configuration)
        except (msgspec.MsgspecError, RecursionError) as e:
            return Refused(f"the configuration cannot be read: {e}")
        changed, self.current, self._etag = found != self.current, found, answer.headers.get("etag", "")
        if changed:
            log.info("a new configuration: every %g s, %d sites", found.interval_s, len(found.sites))
            self._keep()
        return None

    def _load(self) -> None:
        try:
            with self._file.open("rb") as file:
                kept = msgspec.json.decode(file.read(_MAX_FILE_BYTES), type=_Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, RecursionError) as e:
            log.warning("the kept configuration cannot be read, and is asked for anew: %s", e)
            return
        self.current, self._etag = kept.configuration, kept.etag

    def _keep(self) -> None:
        partial = self._file.with_suffix(".partial")
        try:
            partial.write_bytes(msgspec.json.encode(_Kept(self._etag, self.current)))
            os.replace(partial, self._file)
        except OSError as e:
            log.warning("the configuration cannot be kept on disk: %s", e)
