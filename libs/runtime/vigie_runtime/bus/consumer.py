"""A Kafka consumer that leaves nothing behind when it is stopped, also while the brokers are away.

aiokafka's `stop` waits for its background tasks in turn. It does not look at one that has failed before, of which
asyncio then complains with a traceback ("Task exception was never retrieved"); and when one fails while it is waited
for, the others run on.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from vigie_runtime import tasks

_TASKS: Final = {
    "_coordinator": ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task"),
    "_fetcher": ("_fetch_task",),
    "_client": ("_sync_task",),
}
"""Where aiokafka keeps its tasks. `tests/test_consumer.py` fails when one has another name."""


class Consumer(AIOKafkaConsumer):
    """`AIOKafkaConsumer` with a thorough `stop`."""

    async def stop(self) -> None:
        """Leave the group and end all tasks; raises what `AIOKafkaConsumer.stop` raises, afterwards."""
        running = self._tasks()  # aiokafka forgets them one by one
        try:
            await super().stop()
        finally:
            await tasks.end(running)

    def _tasks(self) -> list[asyncio.Task[Any]]:
        parts = [(getattr(self, part, None), names) for part, names in _TASKS.items()]
        found = [getattr(part, name, None) for part, names in parts for name in names]
        fetcher = getattr(self, "_fetcher", None)
        return [task for task in (*found, *getattr(fetcher, "_pending_tasks", ())) if isinstance(task, asyncio.Task)]
