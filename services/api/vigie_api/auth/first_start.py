"""What the very first start makes: the default tenant and an administrator. Beside the requests, because this service
starts without MongoDB and answers 503 until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.bootstrap import NewAdministrator
from vigie_identity.identity import Identity
from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.errors import VigieError

from vigie_api.settings import Settings

log = logging.get(__name__)

_BACKOFF: Final = Backoff(0.2, 5.0)


@asynccontextmanager
async def beside(who: Identity, settings: Settings, done: Callable[[], object]) -> AsyncGenerator[None]:
    """Goes on trying while the context is entered, and calls `done` when it is made."""
    task = asyncio.create_task(_until_done(who, settings, done), name="first start")
    try:
        yield
    finally:
        await tasks.end([task])


async def _until_done(who: Identity, settings: Settings, done: Callable[[], object]) -> None:
    async for _ in _BACKOFF.attempts(asyncio.sleep):
        try:
            await who.prepare(TenantId(settings.default_tenant))
            chosen = settings.admin_password.get_secret_value() if settings.admin_password else None
            _show(await who.first_start(chosen))
        except VigieError as e:
            log.warning("users and tenants wait for MongoDB", reason=str(e))
        except Exception:  # a bug; without this nobody would see it
            log.exception("the first start failed")
            return
        else:
            done()
            return


def _show(new: NewAdministrator | None) -> None:
    """Not a log line: logs are kept and passed on, and this is to be seen once."""
    if new is not None and new.password is not None:
        print(f"First start: log in as {new.name} with the password {new.password}", flush=True)
