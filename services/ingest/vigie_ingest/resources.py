"""What the gateway has while it is connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vigie_web.health import Check
from vigie_web.state import AccessControl, AppState

from vigie_ingest.idempotency import IdempotencyStore
from vigie_ingest.intake import Pipeline
from vigie_ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class Resources:
    """Who may send, where it goes, and which requests are repeats."""

    access: AccessControl
    checks: Sequence[Check]
    pipeline: Pipeline
    idempotency: IdempotencyStore


State: TypeAlias = AppState[IngestSettings, Resources]
