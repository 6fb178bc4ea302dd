"""Everything that `vigie doctor` looks at, in the order in which it says it."""

import asyncio

from vigie_runtime import logging

from vigie_standalone.accounts import AccountsError
from vigie_standalone.backup.connecting import BackupSettings, database, running, settings
from vigie_standalone.backup.manifest import BackupError
from vigie_standalone.doctor import kafka, mongodb, redis
from vigie_standalone.doctor.findings import Finding, failed
from vigie_standalone.doctor.machine import directory, front_door, packages
from vigie_standalone.home import Home


def examine(home: Home, url: str) -> list[Finding]:
    """What there is to say of a Vigie: the one that runs on the data directory, or that the environment names. `url`
    is that of its front door; empty: that of the one that runs here, if one does."""
    logging.configure("vigie", "error")
    run = home.running()
    door = url.rstrip("/") or (run.url if run else "")
    found = [packages(), *directory(home.directory), *_servers(home)]
    return [*found, *front_door(door)] if door else found


def _servers(home: Home) -> list[Finding]:
    try:
        known = settings(running(home))
    except (AccountsError, BackupError) as error:
        return [failed("settings", str(error), "set what is missing, or start `vigie up`")]
    return asyncio.run(_asked(known))


async def _asked(known: BackupSettings) -> list[Finding]:
    async with database(known) as db:
        found, recorded = await mongodb.examine(db)
    return [*found, *await kafka.examine(known, recorded), *await redis.examine(known)]
