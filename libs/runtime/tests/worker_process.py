"""A worker for the lifespan tests: `python worker_process.py [fail|slow]`."""

import asyncio
import sys

from vigie_runtime import logging
from vigie_runtime.lifespan import Lifespan, run_worker


class Worker:
    def __init__(self, how: str) -> None:
        self.how = how
        self.stopping = asyncio.Event()

    async def start(self, life: Lifespan) -> None:
        async def close() -> None:
            await asyncio.sleep(60 if self.how == "slow" else 0)

        await life.up("store", asyncio.sleep(0))
        life.on_down("store", close)
        if self.how == "hang":
            await life.up("bus", asyncio.sleep(60))
        life.run("reader", self.read(), self.stopping.set)

    async def read(self) -> None:
        if self.how == "fail":
            raise ZeroDivisionError
        await self.stopping.wait()


if __name__ == "__main__":
    logging.configure("worker")
    sys.exit(run_worker(Worker(sys.argv[1]), shutdown_timeout_s=1.0 if sys.argv[1:] != ["patient"] else 60.0))
