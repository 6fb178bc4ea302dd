"""Failed logins are counted before the password is looked at: by the process itself, and in Redis for all processes.

Redis may be away, and may forget what it counted when its memory is full. What the process counted itself holds all
the same: so many attempts, and no more, pass it in WINDOW_S.

An attempt counts until it turns out to be good, so that many at once cannot pass together. Names that exist and names
that do not are counted alike. The address is asked about first, then the account from this address, then the account;
the first of them that is full refuses the attempt, and nothing of it is counted. So one address adds five attempts to
an account and cannot close it to others, and refused attempts push out no other count. A count begins with the first
attempt and is forgotten after WINDOW_S, whatever happens.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from ipaddress import IPv6Network, ip_address
from typing import Any, Final

from redis.asyncio import Redis
from vigie_runtime.addresses import line_of
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse

from vigie_identity.errors import TooManyAttempts
from vigie_identity.names import name_key, new_id

WINDOW_S: Final = 900.0
PER_ACCOUNT_AND_ADDRESS: Final = 5
PER_ACCOUNT: Final = 50
"""From all addresses: strangers with ten can keep an account from logging in, but not guess at it all day."""
PER_ADDRESS: Final = 100
MAX_LOCAL: Final = 50_000
"""Windows that a process counts itself: as many as the passwords that it can check in WINDOW_S."""

_ALL: Final = "*"
"""Where a window counts its attempts from all addresses; no digest."""
_UNREADABLE: Final = "?"

# KEYS: windows. ARGV: this attempt, ms of a window, then three per count: number of its window, field, limit.
# Gives the ms to wait; or 0, and the first attempts of the windows.
_COUNT: Final = """
for i = 3, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[i])]
  if tonumber(redis.call('HGET', key, ARGV[i + 1]) or 0) >= tonumber(ARGV[i + 2]) then
    return {math.max(1, redis.call('PTTL', key))}
  end
end
local answer = {0}
for _, key in ipairs(KEYS) do
  if redis.call('HSETNX', key, 'began', ARGV[1]) == 1 then redis.call('PEXPIRE', key, ARGV[2]) end
  table.insert(answer, redis.call('HGET', key, 'began'))
end
for i = 3, #ARGV, 3 do redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], 1) end
return answer
"""
# KEYS: windows. ARGV: the first attempt of each, then two per count: number of its window, field.
_TAKE_BACK: Final = """
for i = #KEYS + 1, #ARGV, 2 do
  local n = tonumber(ARGV[i])
  if redis.call('HGET', KEYS[n], 'began') == ARGV[n] then
    local left = redis.call('HINCRBY', KEYS[n], ARGV[i + 1], -1)
    if left <= 0 and ARGV[i + 1] == '*' then redis.call('DEL', KEYS[n]) end
  end
end
return {}
"""


@dataclass(frozen=True, slots=True)
class _Count:
    """One of the counts of the window of that index; `field` says of which attempts."""

    window: int
    field: str
    limit: int


@dataclass(slots=True)
class _Window:
    """What a process counts itself. `opened` is the mark of the operator who opened the account before it began."""

    end: float
    counts: Counter[str] = field(default_factory=Counter[str])
    opened: bytes | str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was counted, and where: `local` are the windows of the process, `began` the first attempts of those in
    Redis; none when Redis is away."""

    keys: list[str]
    counts: list[_Count]
    local: list[_Window]
    began: list[bytes] = field(default_factory=list[bytes])


class LoginThrottle:
    """Bounds how often passwords can be guessed."""

    def __init__(self, redis: Redis, clock: Clock, metrics: MetricSet | None = None) -> None:
        """`metrics` declares IDENTITY_METRICS."""
        self._redis = redis
        self._breaker = RedisBreaker(clock, RedisUse.LOGINS, metrics)
        self._local = _LocalWindows(clock)

    async def attempt(self, home: str, name: str, address: str) -> Attempt:
        """Count an attempt. Raises TooManyAttempts, with the seconds to wait, when there were too many."""
        keys, counts = _asked(home, name, address)
        attempt = Attempt(keys, counts, await self._count_here(keys, counts))
        arguments = [part for one in counts for part in (one.window + 1, one.field, one.limit)]
        try:
            wait_ms, *began = await self._run(_COUNT, keys, new_id(), int(WINDOW_S * 1000), *arguments)
        except RedisAway:
            return attempt
        if wait_ms:
            self._local.take_back(attempt)
            raise TooManyAttempts(wait_ms / 1000)
        return replace(attempt, began=began)

    async def take_back(self, attempt: Attempt) -> None:
        """It does not count: the password was right, or was not looked at. Other attempts stay counted, also those
        of a window that began after this attempt's had ended."""
        self._local.take_back(attempt)
        if not attempt.began:
            return
        fields = [part for one in attempt.counts for part in (one.window + 1, one.field)]
        with suppress(RedisAway):
            await self._run(_TAKE_BACK, attempt.keys, *attempt.began, *fields)

    async def clear(self, home: str, name: str) -> None:
        """Forget what was counted for an account, from every address: an operator opens it again. Other processes see
        the mark that is left for them in Redis when they would refuse the next attempt."""
        key = _account(home, name)
        self._local.clear(key)

        def forget() -> Awaitable[Any]:
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(key)
            pipe.set(_opened(key), new_id(), ex=int(WINDOW_S))
            return pipe.execute()

        with suppress(RedisAway):
            await self._breaker.call(forget, always=True)

    async def _count_here(self, keys: Sequence[str], counts: Sequence[_Count]) -> list[_Window]:
        """Raises TooManyAttempts, unless an operator has opened the account since."""
        try:
            return self._local.add(keys, counts)
        except TooManyAttempts:
            account = keys[-1]
            mark = None
            with suppress(RedisAway):
                mark = await self._breaker.call(lambda: self._redis.get(_opened(account)))
            if mark is None or not self._local.open(account, mark):
                raise
            return self._local.add(keys, counts)

    async def _run(self, script: str, keys: Sequence[str], *arguments: object) -> list[Any]:
        """Raises RedisAway."""
        redis: Any = self._redis  # its types do not say that the answer may be a list
        return await self._breaker.call(lambda: redis.eval(script, len(keys), *keys, *arguments))


class _LocalWindows:
    """What this process counts itself, bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        """Oldest first."""

    def add(self, keys: Sequence[str], counts: Sequence[_Count]) -> list[_Window]:
        """The windows that the attempt was counted in. Raises TooManyAttempts."""
        now = self._clock.monotonic()
        while self._windows and next(iter(self._windows.values())).end <= now:
            self._windows.popitem(last=False)
        found = [self._windows.get(key) or _Window(now + WINDOW_S) for key in keys]
        for count in counts:
            window = found[count.window]
            if window.counts[count.field] >= count.limit:
                raise TooManyAttempts(window.end - now)
        for key, window in zip(keys, found, strict=True):
            self._windows.setdefault(key, window)
        while len(self._windows) > MAX_LOCAL:
            self._windows.popitem(last=False)
        for count in counts:
            found[count.window].counts[count.field] += 1
        return found

    def take_back(self, attempt: Attempt) -> None:
        for count in attempt.counts:
            attempt.local[count.window].counts[count.field] -= 1
        for key, window in zip(attempt.keys, attempt.local, strict=True):
            if window.counts[_ALL] <= 0 and self._windows.get(key) is window:
                del self._windows[key]

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def open(self, key: str, mark: bytes | str) -> bool:
        """Begin the window anew; False when that was done for this mark."""
        window = self._windows.get(key)
        if window is None or window.opened == mark:
            return False
        del self._windows[key]
        self._windows[key] = _Window(self._clock.monotonic() + WINDOW_S, opened=mark)
        return True


def _asked(home: str, name: str, address: str) -> tuple[list[str], list[_Count]]:
    """The windows of an attempt, and its counts in the order in which they are asked about."""
    account, network = _account(home, name), _network(address)
    if not network:
        return [account], [_Count(0, _ALL, PER_ACCOUNT)]
    place = _digest(network)
    counts = [
        _Count(0, _ALL, PER_ADDRESS),
        _Count(1, place, PER_ACCOUNT_AND_ADDRESS),
        _Count(1, _ALL, PER_ACCOUNT),
    ]
    return [f"vigie:_identity:login:address:{place}", account], counts


def _account(home: str, name: str) -> str:
    return f"vigie:_identity:login:account:{_digest(home, name_key(name[:1_000]))}"


def _opened(account: str) -> str:
    """Where the mark is that an operator opened the account."""
    return f"{account}:opened"


def _digest(*parts: str) -> str:
    """Names are not left lying in Redis, and are as long as strangers like."""
    h = blake2b(digest_size=16, person=b"vigie-login")
    for part in parts:
        data = part.encode(errors="surrogatepass")
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()


def _network(address: str) -> str:
    """One person has a whole /64 of IPv6 addresses. Empty when the address is not known; what is no address is one
    network, so that nobody gets around the limits by it."""
    if not address:
        return ""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return _UNREADABLE
    line = line_of(parsed)
    return line.network_address.exploded[:19] if isinstance(line, IPv6Network) else str(line)
