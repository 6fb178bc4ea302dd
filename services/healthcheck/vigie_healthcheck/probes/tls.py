"""`tls://host:port`: up when its certificate is trusted, is for that host, and has not expired.

Options: `serverName`, the host that the certificate must be for, if it is not that of the URL.
"""

from __future__ import annotations

from vigie_healthcheck.probes.base import Facts, Phases, Question, Way
from vigie_healthcheck.probes.wire import connected


async def tls(question: Question, way: Way, phases: Phases) -> Facts:
    async with connected(question, 443, way, phases, tls=True) as wire:
        return wire.facts()
