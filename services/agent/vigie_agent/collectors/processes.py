"""Processes: how many there are, and what those of each site's account use. One pass over all for all sites."""

from __future__ import annotations

import pwd
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psutil
from vigie_contracts.hosts import MAX_CORES, Processes

from vigie_agent.collectors.base import Look, Parts
from vigie_agent.configuration import Site

ACCOUNTS: Final = "account_usage"
"""The part of this name: site -> AccountUsage."""
_SLEEPING: Final = frozenset({"sleeping", "disk-sleep", "idle", "waking", "parked"})
_STOPPED: Final = frozenset({"stopped", "tracing-stop"})
_WANTED: Final = ["uids", "cpu_times", "memory_info", "status", "create_time"]
_Identity = tuple[int, float]
"""A process: its id, which comes again, and when it was started."""


@dataclass(slots=True)
class AccountUsage:
    """What the processes of one account use; CPU in percent of one core and in seconds of those that live."""

    percent: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    processes: int = 0


@dataclass(slots=True)
class _Account:
    cpu_s: float = 0.0
    spent_s: float = 0.0
    memory_bytes: int = 0
    processes: int = 0


class ProcessTable:
    """Remembers the CPU time of every process at the look before."""

    def __init__(self) -> None:
        self._before: dict[_Identity, float] = {}
        self._at = time.time()
        self._first = True

    def read(self, look: Look) -> Parts:
        """`processes`, and the usage of each site's account. Of a process that ended since the look before, what it
        used after that is not seen."""
        now = time.time()
        states, accounts, times, hidden = Counter[str](), dict[int, _Account](), dict[_Identity, float](), 0
        for process in psutil.process_iter(_WANTED):
            info: dict[str, Any] = process.info  # pyright: ignore[reportAttributeAccessIssue] - set by process_iter
            states[str(info["status"])] += 1
            if info["uids"] is None or info["cpu_times"] is None or info["memory_info"] is None:
                hidden += 1
                continue
            used = info["cpu_times"].user + info["cpu_times"].system
            identity = (process.pid, float(info["create_time"] or 0.0))
            times[identity] = used
            account = accounts.setdefault(info["uids"].effective, _Account())
            account.cpu_s += used
            account.spent_s += self._spent(identity, used)
            account.memory_bytes += info["memory_info"].rss
            account.processes += 1
        elapsed, self._before, self._at = now - self._at, times, now
        if hidden:
            look.missing("sites", f"{hidden} processes of other accounts cannot be read")
        usage = {} if not look.sites else _of_sites(look, accounts, None if self._first else elapsed)
        self._first = False
        return {"processes": _counts(states), ACCOUNTS: usage}

    def _spent(self, identity: _Identity, used: float) -> float:
        before = self._before.get(identity)
        if before is not None:
            return max(0.0, used - before)
        return used if identity[1] >= self._at else 0.0


def _of_sites(look: Look, accounts: Mapping[int, _Account], elapsed: float | None) -> dict[str, AccountUsage]:
    found: dict[str, AccountUsage] = {}
    for site in look.sites:
        if (uid := _uid(site, look)) is None:
            continue
        account = accounts.get(uid, _Account())
        percent = 100.0 * account.spent_s / elapsed if elapsed and elapsed > 0 else 0.0
        found[site.id] = AccountUsage(
            min(100.0 * MAX_CORES, round(percent, 2)), account.cpu_s, account.memory_bytes, account.processes
        )
    return found


def _uid(site: Site, look: Look) -> int | None:
    if not site.account:
        look.missing(f"sites.{site.id}.account", "the site has no account")
        return None
    try:
        return pwd.getpwnam(site.account).pw_uid
    except (KeyError, ValueError):  # ValueError: a name with a null byte
        look.missing(f"sites.{site.id}.account", f"there is no account {site.account!r}")
        return None


def _counts(states: Mapping[str, int]) -> Processes:
    return Processes(
        total=sum(states.values()),
        running=states.get("running", 0),
        sleeping=sum(count for state, count in states.items() if state in _SLEEPING),
        stopped=sum(count for state, count in states.items() if state in _STOPPED),
        zombie=states.get("zombie", 0),
    )
