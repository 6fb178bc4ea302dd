"""`vigie prepare`: makes what the services need in Kafka and MongoDB, before the first of them starts.

They make it themselves too, each its part; here a wrong password or a cluster without enough brokers is told by itself.
Safe to repeat, and beside services that run.
"""

from dataclasses import dataclass

from vigie_contracts.tenants import TenantId
from vigie_runtime.bus import topics
from vigie_runtime.errors import VigieError
from vigie_storage import collections, mongo
from vigie_storage import topics as recorded_topics

from vigie_standalone.accounts import AccountsError, accounts


@dataclass(frozen=True)
class Ready:
    """What there is now."""

    topics: int
    partitions: int
    collections: int
    tenant: str


async def prepare(deadline_s: float = 60.0) -> Ready:
    """Topics, collections with their indexes, and the default tenant, as the environment says. Waits for each server up
    to `deadline_s`. Documents of which a service's own settings say how long they live get that index from the service.
    Raises AccountsError."""
    async with accounts({}) as here:
        settings, database = here.settings, here.database
        try:
            made = await recorded_topics.ensure(settings, topics.deployed(settings), database, deadline_s=deadline_s)
            timeless = [one for one in collections.ALL if one.expiry is None or one.expiry.after is not None]
            with mongo.retryable("making collections"):
                await mongo.ensure(database, *timeless)
        except VigieError as error:
            raise AccountsError(str(error)) from None
        await here.identity.prepare(TenantId(settings.default_tenant))
    return Ready(len(made), settings.partitions, len(timeless), settings.default_tenant)
