"""Failed logins are counted before the password is looked at, in Redis; by each process alone when Redis is away.

An attempt counts until it turns out to be good, so that many at once cannot pass together. Names that exist and names
that do not are counted alike. A count begins with the first attempt and is forgotten after WINDOW_S, whatever happens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Final

from redis.asyncio import Redis
from vigie_runtime.clock import Clock

from vigie_identity.errors import TooManyAttempts
from vigie_identity.names import name_key
from vigie_identity.patience import Away, Patience

WINDOW_S: Final = 900.0
PER_ACCOUNT_AND_ADDRESS: Final = 5
PER_ACCOUNT: Final = 50
"""From all addresses: a stranger can keep an account from logging in, but not guess at it all day."""
PER_ADDRESS: Final = 100
MAX_LOCAL: Final = 10_000

_COUNT: Final = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {n, redis.call('PTTL', KEYS[1])}
"""
_TAKE_BACK: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('DECR', KEYS[1]) <= 0 then redis.call('DEL', KEYS[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class _Counter:
    key: str
    limit: int


class LoginThrottle:
    """Bounds how often passwords can be guessed."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._patience = Patience(clock)
        self._local = _LocalCounts(clock)

    async def attempt(self, home: str, name: str, address: str) -> None:
        """Count an attempt. Raises TooManyAttempts, with the seconds to wait, when there were too many."""
        counters = _counters(home, name, address)
        counts = await self._run(_COUNT, counters, str(int(WINDOW_S * 1000)))
        if counts is None:
            counts = [self._local.add(counter.key) for counter in counters]
        waits = [ms for counter, (n, ms) in zip(counters, counts, strict=True) if n > counter.limit]
        if waits:
            raise TooManyAttempts(max(waits) / 1000)

    async def good(self, home: str, name: str, address: str) -> None:
        """The attempt was good: it does not count."""
        counters = _counters(home, name, address)
        for counter in counters:
            self._local.take_back(counter.key)
        await self._run(_TAKE_BACK, counters)

    async def _run(self, script: str, counters: Sequence[_Counter], *arguments: str) -> list[tuple[int, int]] | None:
        """The answers of Redis, one per counter; None when it is away."""

        async def question() -> list[tuple[int, int]]:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for counter in counters:
                    pipeline.eval(script, 1, counter.key, *arguments)
                return await pipeline.execute()

        try:
            return await self._patience.ask(question)
        except Away:
            return None


class _LocalCounts:
    """The same counts, bounded, in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """(count, end of the window), oldest first."""

    def add(self, key: str) -> tuple[int, int]:
        now = self._clock.monotonic()
        count, end = self._counts.get(key, (0, now + WINDOW_S))
        if end <= now:
            count, end = 0, now + WINDOW_S
            del self._counts[key]
        self._counts[key] = count + 1, end
        while len(self._counts) > MAX_LOCAL:
            self._counts.popitem(last=False)
        return count + 1, int((end - now) * 1000)

    def take_back(self, key: str) -> None:
        if key in self._counts:
            count, end = self._counts[key]
            self._counts[key] = max(0, count - 1), end


def _counters(home: str, name: str, address: str) -> list[_Counter]:
    account = _digest(home, name_key(name[:1_000]))
    found = [_Counter(f"vigie:_identity:login:account:{account}", PER_ACCOUNT)]
    if network := _network(address):
        place = _digest(network)
        found.append(_Counter(f"vigie:_identity:login:address:{place}", PER_ADDRESS))
        found.append(_Counter(f"vigie:_identity:login:both:{account}:{place}", PER_ACCOUNT_AND_ADDRESS))
    return found


def _digest(*parts: str) -> str:
    """Names are not left lying in Redis, and are as long as strangers like."""
    h = blake2b(digest_size=16, person=b"vigie-login")
    for part in parts:
        data = part.encode(errors="surrogatepass")
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()


def _network(address: str) -> str:
    """One person has a whole /64 of IPv6 addresses. Empty when the address is not known."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return parsed.exploded[:19]
    return str(parsed)
