"""What the api has while it is connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from vigie_identity.identity import Identity
from vigie_limits.usage import Usage
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database
from vigie_storage.latest import LatestRepository
from vigie_storage.reader import Reader
from vigie_storage.series import SeriesRepository
from vigie_web.concurrency import ConcurrencyLimit
from vigie_web.health import Check
from vigie_web.state import AccessControl

from vigie_api.auth.first_start import FirstStart
from vigie_api.exposition.catalogue import FamilyCatalogue


@dataclass(frozen=True, slots=True)
class Resources:
    """Readers, and the bounds on their use."""

    access: AccessControl
    checks: Sequence[Check]
    database: Database
    identity: Identity
    first_start: FirstStart
    usage: Usage
    series: SeriesRepository
    families: FamilyCatalogue
    latest: LatestRepository
    reader: Reader
    answers: TtlCache[BaseModel]
    scrapes: ConcurrencyLimit
    report_pages: ConcurrencyLimit
