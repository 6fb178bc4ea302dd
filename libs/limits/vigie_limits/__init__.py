"""How much may be asked for, and how much was.

`window` and `account` are the arithmetic: a sliding window of counts, and the lease that one process holds on it.
`store` keeps the counts in Redis, `limiter` asks it and goes on alone when it is away. `rates` says who is counted for
what, by settings and plans. `usage` adds up what every tenant used.
"""
