"""Drivers stay in adapters.

Why: a module that holds a client of Kafka, MongoDB or Redis, or an object of the web framework, cannot be tested
without a server, and the next release of that driver is a change in every place that knows it. The table names the
places; what else imports a driver today stands in `drivers.txt`, which only shrinks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Final

from tools.lints import leftovers
from tools.lints.imports import imported
from tools.lints.source import Finding, Source

ALLOWED: Final = "tools/lints/drivers.txt"

DRIVERS: Final = {
    "aiokafka": "Kafka",
    "confluent_kafka": "Kafka",
    "faststream": "Kafka",
    "pymongo": "MongoDB",
    "bson": "MongoDB",
    "redis": "Redis",
    "fastapi": "HTTP",
    "fastapi_offline": "HTTP",
    "starlette": "HTTP",
    "uvicorn": "HTTP",
}
"""What each package speaks to."""

PLACES: Final = (
    ("Kafka MongoDB Redis", "libs/runtime/vigie_runtime/clients.py", "makes the clients, and names their types"),
    ("Kafka", "libs/runtime/vigie_runtime/bus/*", "the log reader, the event consumer, publishers, topics"),
    ("Redis", "libs/runtime/vigie_runtime/redis_breaker.py", "knows what it means that Redis is away"),
    ("MongoDB Redis", "libs/storage/*", "the stored schema, and the latest values"),
    ("MongoDB", "libs/identity/vigie_identity/*", "its own collections: a file for each"),
    ("Redis", "libs/identity/vigie_identity/session_store.py", "which sessions live"),
    ("Redis", "libs/identity/vigie_identity/throttle.py", "failed logins"),
    ("Redis", "libs/identity/vigie_identity/identity.py", "puts the library together"),
    ("Redis", "libs/limits/vigie_limits/store.py", "counts of rate limits"),
    ("Redis", "services/push/vigie_push/sources/redis_link.py", "listens to pub/sub, and knows when it is lost"),
    ("HTTP", "libs/web/*", "the HTTP shell"),
    ("HTTP", "services/*/app.py", "composition root"),
    ("HTTP", "services/*/routes.py", "translates requests"),
    ("HTTP", "services/push/vigie_push/socketio/transport.py", "an ASGI app, which a library is"),
    ("HTTP", "services/api/vigie_api/admin/*", "routes: a file for each resource"),
    ("HTTP", "services/api/vigie_api/hosts/sites.py", "routes: a file for each resource"),
    ("HTTP", "services/api/vigie_api/stats/config.py", "routes: a file for each resource"),
    ("HTTP", "services/alerting/vigie_alerting/api/*", "routes: a folder for each feature"),
    ("HTTP", "services/api/vigie_api/promql/http/*", "routes whose forms and errors are those of Prometheus"),
    ("HTTP", "standalone/vigie_standalone/inbox/__main__.py", "opens the doors of the catcher"),
    ("MongoDB", "services/healthcheck/vigie_healthcheck/probes/mongodb.py", "writes and reads BSON: no client"),
    ("MongoDB", "standalone/vigie_standalone/embedded/mongo_members.py", "makes a replica set and lets its user in"),
    ("MongoDB", "standalone/vigie_standalone/accounts.py", "says in a sentence why the database is not reached"),
)
"""Which drivers, in which files (`*` also goes over directories), and why there."""


def check(files: Iterable[Source], allowed: Mapping[str, str]) -> Iterator[Finding]:
    """Every import of a driver outside its places, and every line of the list that is not needed any more."""
    needed: set[str] = set()
    for source in files:
        if source.is_test or not source.is_packaged:
            continue
        for line, name in imported(source):
            driver = DRIVERS.get(name.partition(".")[0])
            if driver is None or _is_place(driver, source.path):
                continue
            subject = f"{source.path} {driver}"
            if subject not in allowed and subject not in needed:
                top = name.partition(".")[0]
                yield Finding(source.path, line, f"imports {top}: {driver} is spoken to in adapters only (drivers.py)")
            needed.add(subject)
    yield from leftovers.unneeded(ALLOWED, allowed, needed)


def _is_place(driver: str, path: str) -> bool:
    return any(driver in drivers.split() and fnmatch(path, pattern) for drivers, pattern, _ in PLACES)
