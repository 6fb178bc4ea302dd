"""The test kit: real servers, unique names, deadlines instead of sleeps, processes that can be killed.

Fixtures come from `tests.kit.plugin`, which the root conftest loads; plain helpers are imported from here.
"""

from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process

from tests.kit.kafka_login import aiokafka_login, librdkafka_login
from tests.kit.processes import Spawner, http_ready, port_open
from tests.kit.wait import eventually, eventually_sync, unique

__all__ = [
    "Process",
    "Spawner",
    "aiokafka_login",
    "eventually",
    "eventually_sync",
    "free_port",
    "http_ready",
    "librdkafka_login",
    "port_open",
    "unique",
]
