"""The messages of Vigie: what crosses a process border, and nothing else.

Every module holds one family: `topics` (the bus), `series` and `samples` (numbers), `events`, `reports`,
`checks`, `alerts` (JSON messages), `problems` (errors), `latest` (the Redis view), `tiers` (the windows that are kept),
`telemetry` (what is kept of nodes' reports), `days` (local days as instants).
"""
