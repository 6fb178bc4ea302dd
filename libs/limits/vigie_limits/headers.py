"""What answers tell of the limits.

`RateLimit-Limit`, `-Remaining` and `-Reset` are what clients and proxies read today (the drafts up to 06 of
draft-ietf-httpapi-ratelimit-headers): the one limit of which the smallest part is left. `RateLimit-Policy` lists all
that hold, in the form of the later drafts. Their combined `RateLimit` is left out: clients that know it from draft 07
prefer it, and would misread it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vigie_limits.account import Account

Headers = list[tuple[bytes, bytes]]


def rate_headers(accounts: Sequence[Account], now: float) -> Headers:
    """For the answer of a request that was charged to these accounts; `now` is monotonic seconds."""
    if not accounts:
        return []
    nearest = accounts[0]
    policy, remaining = nearest.policy, nearest.remaining()
    if len(accounts) > 1:
        for account in accounts[1:]:
            policy += b", " + account.policy
            left = account.remaining()
            if left * nearest.limit.amount < remaining * account.limit.amount:
                nearest, remaining = account, left
    return [
        (b"ratelimit-limit", b"%d" % nearest.limit.amount),
        (b"ratelimit-remaining", b"%d" % remaining),
        (b"ratelimit-reset", b"%d" % nearest.reset_s(now)),
        (b"ratelimit-policy", policy),
    ]
