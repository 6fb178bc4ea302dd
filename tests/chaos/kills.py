"""What is killed, how, and when: a seeded choice among everything that runs."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vigie_standalone.embedded.process import Process

from tests.chaos.system import SESSION_TIMEOUT_MS, START_TIMEOUT_S

PAUSE_BEYOND_SESSION_S = SESSION_TIMEOUT_MS / 1000 + 3.0


class How(StrEnum):
    """SIGKILL and start again, or SIGSTOP for longer than a session and SIGCONT: a zombie."""

    KILL = "SIGKILL"
    PAUSE = "SIGSTOP"


@dataclass(frozen=True, slots=True)
class Victim:
    """A process of a kind, how it is hit, and its weight in the choice."""

    kind: str
    process: Process
    how: How = How.KILL
    weight: float = 1.0

    @property
    def label(self) -> str:
        """A line of the table."""
        return f"{self.kind} {self.how}"


@dataclass(slots=True)
class Killer:
    """Hits victims one after the other at random moments; whoever was hit comes back while others are hit already."""

    victims: Sequence[Victim]
    seed: int
    mean_gap_s: float
    say: Callable[[str], None] = lambda _line: None
    done: Counter[str] = field(default_factory=Counter[str])
    ended: Counter[str] = field(default_factory=Counter[str])
    """Processes that ended by themselves and were started again, as a supervisor would."""
    _away: set[int] = field(default_factory=set[int])
    _returning: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def run(self, kills: int, until: float) -> int:
        """Do `kills` kills, none after the monotonic time `until`; returns how many were done, everything back."""
        chooser = random.Random(self.seed)
        watch = asyncio.create_task(self._supervise())
        while self.done.total() < kills and time.monotonic() < until:
            await asyncio.sleep(min(chooser.expovariate(1 / self.mean_gap_s), 4 * self.mean_gap_s))
            present = [victim for victim in self.victims if id(victim.process) not in self._away]
            if present:
                victim = chooser.choices(present, [victim.weight for victim in present])[0]
                self._hit(victim, chooser.uniform(0.0, 1.5))
        await asyncio.gather(*self._returning)
        watch.cancel()
        return self.done.total()

    async def _supervise(self) -> None:
        while True:
            for process in {victim.process.name: victim.process for victim in self.victims}.values():
                if not process.alive and id(process) not in self._away:
                    last = process.log_tail(1).strip()[-300:]
                    self.say(f"      {process.name} ended by itself with code {process.returncode}: {last}")
                    self.ended[f"{process.name} code {process.returncode}"] += 1
                    await asyncio.to_thread(process.launch)
            await asyncio.sleep(0.5)

    def _hit(self, victim: Victim, absence_s: float) -> None:
        self.done[victim.label] += 1
        self.say(f"{self.done.total():4d}  {victim.how} {victim.process.name}")
        self._away.add(id(victim.process))
        comeback = asyncio.create_task(self._strike(victim, absence_s))
        self._returning.add(comeback)
        comeback.add_done_callback(self._returning.discard)

    async def _strike(self, victim: Victim, absence_s: float) -> None:
        process = victim.process
        try:
            if victim.how is How.PAUSE:
                process.pause()
                await asyncio.sleep(PAUSE_BEYOND_SESSION_S)
                process.resume()
                return
            await asyncio.to_thread(process.kill)
            await asyncio.sleep(absence_s)
            await asyncio.to_thread(process.launch)
            # Not "ready": that may need what is being killed now. Only that it stays up is asked for.
        finally:
            self._away.discard(id(process))


async def all_ready(processes: Sequence[Process], timeout: float = START_TIMEOUT_S) -> None:
    """Everything answers that it is ready. Raises ProcessError."""
    await asyncio.gather(*(asyncio.to_thread(process.wait_ready, timeout) for process in processes))
