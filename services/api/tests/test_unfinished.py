"""Nobody is sent to an api whose database is not whole."""

from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.connected


async def test_half_a_backup_is_not_ready(client: Any, world: Any) -> None:
    await world.database["restores"].insert_one({"_id": "unfinished", "begun": datetime.now(UTC)})
    answer = await client.http.get("/health/ready")
    assert (answer.status_code, answer.json()["not_ready"]) == (503, ["whole"])
