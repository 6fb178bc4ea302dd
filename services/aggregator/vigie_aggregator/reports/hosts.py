"""Reports of hosts: kept for as long as their tenant says, and the newest one of each host beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, StoreUnavailable
from vigie_storage.hosts.configuration import MonitoringConfigs, StoredConfig, TenantConfig
from vigie_storage.hosts.reports import latest_id
from vigie_storage.reports.documents import HostReportDocument
from vigie_storage.reports.writer import ReportTransaction

ASK_EVERY_S: Final = 10.0
_UNCONFIGURED: Final = TenantConfig(StoredConfig("", None, 0, None, ""), {})


class HostRetention:
    """How long reports are kept, as it was configured ASK_EVERY_S ago at most."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._configs = MonitoringConfigs(db)
        self._known = TtlCache[dict[TenantId, TenantConfig]](clock, ASK_EVERY_S, 1)

    async def documents(self, reports: Iterable[HostReportDocument]) -> list[Document]:
        """What is stored of the reports. Raises Retryable."""
        try:
            known = await self._known.get("all", self._configs.of_everybody)
        except StoreUnavailable as e:
            raise Retryable("storing reports of hosts: how long they are kept is not known") from e
        return [{**one, "expires": one["at"] + _life(known, one)} for one in reports]


async def store_hosts(transaction: ReportTransaction, reports: Sequence[Document]) -> int:
    """Store those that are not; how many there were."""
    known = await transaction.stored_of_hosts(one["_id"] for one in reports)
    new = [one for one in reports if one["_id"] not in known]
    if not new:
        return 0
    newest: dict[str, Document] = {}
    for one in new:
        id_ = latest_id(one["tenant"], one["host"])
        if id_ not in newest or _order(one) > _order(newest[id_]):
            newest[id_] = one
    before = await transaction.latest_of_hosts(newest)
    await transaction.insert_of_hosts(
        new, [_latest(id_, one) for id_, one in newest.items() if id_ not in before or _order(one) > before[id_]]
    )
    return len(new)


def _life(known: dict[TenantId, TenantConfig], report: HostReportDocument) -> timedelta:
    config = known.get(TenantId(report["tenant"]), _UNCONFIGURED)
    return timedelta(hours=config.of(report["host"]).retention_hours)


def _order(report: Document) -> tuple[object, object]:
    return report["at"], report["_id"]


def _latest(id_: str, report: Document) -> Document:
    kept = {name: value for name, value in report.items() if name != "expires"}
    return {**kept, "_id": id_, "report": report["_id"]}
