"""How much may be asked for, and how much was.

`window` and `counter` are the arithmetic: a sliding window of counts, and the lease that one process holds on it.
`store` keeps the counts in Redis, `limiter` asks it and counts locally when it is away. `quotas` says who is counted
for what, by settings and plans. `usage` adds up what every tenant used.
"""
