"""What `vigie up` has made in the database before anybody can use it.

`python -m vigie_standalone.preparation` does it (see `apart`): the supervisor lives as long as Vigie, and identity,
its settings and three database clients would be two thirds of its memory.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vigie_contracts.tenants import TenantId

from vigie_standalone.demo.node import TENANT
from vigie_standalone.embedded.apart import answer, apart
from vigie_standalone.home import Home

DEMO_TENANT = TenantId(TENANT)
DEMO_TENANT_NAME = "acme-corp"
"""The tenant of the examples that came with the telemetry clients: they work as printed."""
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Prepared:
    """What was found and made."""

    partitions: int | None
    """Of the topics, for life; None when they are not made yet."""
    administrator: str | None = None
    """The name, if this call made one."""
    password: str | None = field(default=None, repr=False)
    """Of that administrator; None when the operator chose it: then there is nothing to show."""


def prepare(
    variables: Mapping[str, str], stopping: threading.Event, *, demo: bool, agent: tuple[Home, str] | None = None
) -> Prepared:
    """Make what a Vigie needs before anybody can use it; with `agent`, a home and the name of a host, also a good key
    for the agent of that host. Raises StandaloneError."""
    named = None if agent is None else [str(agent[0].directory), agent[1]]
    return Prepared(**_ask(stopping, variables=dict(variables), demo=demo, agent=named))


def ensure_own_key(variables: Mapping[str, str], stopping: threading.Event, home: Home) -> None:
    """Have a good key of the default tenant kept for Vigie's own measurements. Raises StandaloneError."""
    _ask(stopping, variables=dict(variables), key_for=str(home.directory))


def _ask(stopping: threading.Event, **question: Any) -> Any:
    return apart("vigie_standalone.preparation", question, timeout=TIMEOUT_S, stopping=stopping)


def _work(question: dict[str, Any]) -> dict[str, Any] | None:
    from vigie_standalone import accounts

    variables = question["variables"]
    if "key_for" in question:
        return asyncio.run(accounts.ensure_own_key(variables, Home(Path(question["key_for"]))))
    named = question.get("agent")
    agent = None if named is None else (Home(Path(named[0])), named[1])
    return asdict(asyncio.run(accounts.prepare(variables, demo=question["demo"], agent=agent)))


if __name__ == "__main__":
    answer(_work)
