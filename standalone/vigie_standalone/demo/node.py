"""What the node of the guide's tenant says of itself. Pure: the same seed and time give the same.

Users come by day and few by night; exercises add up from midnight (UTC) on; the rest follows the users.
"""

import math
from random import Random
from typing import Any

TENANT = "550e8400-e29b-41d4-a716-446655440000"
"""That of the guide's examples; `vigie up` makes it when it runs the simulator."""
EVERY_S = 30
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_VERSIONS = ("1.1.0", "1.2.0")
"""The node is updated, and so restarted, every week; one of these is what it runs."""


def node_report(seed: int, at: int) -> dict[str, Any]:
    """The body of `POST /telemetry` at second `at`."""
    day, second = divmod(at, _DAY_S)
    share = second / _DAY_S
    of_day, now = Random(f"{seed}-node-{day}"), Random(f"{seed}-node-{at // EVERY_S}")
    weekend = (day + 3) % 7 >= 5  # 1 January 1970 was a Thursday
    busy = of_day.uniform(0.8, 1.2) * (0.4 if weekend else 1.0)
    users = round((4 + 60 * math.sin(math.pi * share) ** 4) * busy + now.uniform(-2, 2))
    users = max(0, users)
    exercises = int(320 * busy * (share - math.sin(2 * math.pi * share) / (2 * math.pi)))
    return {
        "tenantId": TENANT,
        "uptime": at % _WEEK_S,
        "activeUsers": users,
        "exercisesCompletedToday": exercises,
        "aiLatency": round(160 + 2.2 * users + now.expovariate(1 / 25), 1),
        "version": _VERSIONS[at // _WEEK_S % 2],
        "additionalData": {
            "cpuUsage": round(min(100.0, 12 + 0.7 * users + now.uniform(0, 8)), 1),
            "memoryUsage": round(min(100.0, 48 + 0.25 * users + now.uniform(0, 3)), 1),
            "diskUsage": round(38 + 20 * (at % (30 * _DAY_S)) / (30 * _DAY_S), 1),
            "errorCount": int(now.expovariate(1.2)),
            "platform": "linux",
        },
    }
