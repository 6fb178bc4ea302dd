"""What answers tell of the limits.

`RateLimit-Limit`, `-Remaining` and `-Reset` are what clients and proxies read today (the drafts up to 06 of
draft-ietf-httpapi-ratelimit-headers): the one limit of which the smallest part is left. `RateLimit-Policy` lists all
that hold, in the form of the later drafts. Their combined `RateLimit` is left out: clients that know it from draft 07
prefer it, and would misread it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

from vigie_limits.account import Account, Limit

Headers = list[tuple[bytes, bytes]]


def rate_headers(accounts: Sequence[Account], now: float) -> Headers:
    """For the answer of a request that was charged to these accounts; `now` is monotonic seconds."""
    if not accounts:
        return []
    account = accounts[0] if len(accounts) == 1 else min(accounts, key=_part_left)
    amount, policy = _fixed(account.limit)
    if len(accounts) > 1:
        policy = b"ratelimit-policy", b", ".join(_fixed(one.limit)[1][1] for one in accounts)
    return [
        amount,
        (b"ratelimit-remaining", b"%d" % account.remaining()),
        (b"ratelimit-reset", b"%d" % ceil(account.reset_s(now))),
        policy,
    ]


def _part_left(account: Account) -> float:
    return account.remaining() / max(1, account.limit.amount)


@lru_cache(4_096)
def _fixed(limit: Limit) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The two headers that are the same for every answer."""
    policy = f'"{limit.scope.value}";q={limit.amount};w={limit.window_s}'
    return (b"ratelimit-limit", b"%d" % limit.amount), (b"ratelimit-policy", policy.encode())
