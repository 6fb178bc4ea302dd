"""Fixtures of alerting's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.alerting.tests.stage import Stage


@pytest.fixture
async def stage(database: Any) -> AsyncIterator[Stage]:
    made = Stage(database)
    await made.prepare()
    yield made
    await made.http.aclose()
