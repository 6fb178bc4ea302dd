"""The RateLimit headers of responses.

`RateLimit-Limit`, `-Remaining` and `-Reset` are what clients and proxies read today (the drafts up to 06 of
draft-ietf-httpapi-ratelimit-headers): the one limit of which the smallest part is left. `RateLimit-Policy` lists all
that hold, in the form of the later drafts. Their combined `RateLimit` is left out: clients that know it from draft 07
prefer it, and would misread it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vigie_limits.counter import QuotaCounter

Headers = list[tuple[bytes, bytes]]


def rate_headers(counters: Sequence[QuotaCounter], now: float) -> Headers:
    """For the answer of a request that was charged to these counters; `now` is monotonic seconds."""
    if not counters:
        return []
    nearest = counters[0]
    policy, remaining = nearest.policy, nearest.remaining()
    if len(counters) > 1:
        for counter in counters[1:]:
            policy += b", " + counter.policy
            left = counter.remaining()
            if left * nearest.limit.amount < remaining * counter.limit.amount:
                nearest, remaining = counter, left
    return [
        (b"ratelimit-limit", b"%d" % nearest.limit.amount),
        (b"ratelimit-remaining", b"%d" % remaining),
        (b"ratelimit-reset", b"%d" % nearest.reset_s(now)),
        (b"ratelimit-policy", policy),
    ]
