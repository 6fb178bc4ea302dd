"""Creates the default tenant and the administrator at the very first start, in the background: this service starts
without MongoDB and answers 503 until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.bootstrap import NewAdministrator
from vigie_identity.identity import Identity
from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.errors import VigieError

from vigie_api.settings import ApiSettings

log = logging.get(__name__)

_BACKOFF: Final = Backoff(0.2, 5.0)


class FirstStartTask:
    """Done when it was made, now or long ago: before, the default tenant may not be there."""

    def __init__(
        self, identity: Identity, settings: ApiSettings, ensure: Sequence[Callable[[], Awaitable[None]]] = ()
    ) -> None:
        """`ensure`: makes what else must be there."""
        self._identity, self._settings, self._ensure = identity, settings, ensure
        self.done = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[FirstStartTask]:
        """Goes on trying while the context is entered."""
        task = asyncio.create_task(self._until_done(), name="first start")
        try:
            yield self
        finally:
            await tasks.end([task])

    async def _until_done(self) -> None:
        chosen = self._settings.admin_password
        async for _ in _BACKOFF.attempts(asyncio.sleep):
            try:
                await self._identity.prepare(TenantId(self._settings.default_tenant))
                for make in self._ensure:
                    await make()
                _tell(await self._identity.first_start(chosen.get_secret_value() if chosen else None))
            except VigieError as e:
                log.warning("users and tenants wait for MongoDB", reason=str(e))
            except Exception:  # a bug; without this nobody would see it
                log.exception("the first start failed")
                return
            else:
                self.done = True
                return


def _tell(new: NewAdministrator | None) -> None:
    """A password that was made up is shown nowhere: what a container prints is kept and passed on, as logs are."""
    if new is not None and new.password is not None:
        log.warning("first start: nobody knows the password; `vigie admin reset-password` makes one", account=new.name)
