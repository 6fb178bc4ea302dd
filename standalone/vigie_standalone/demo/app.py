"""What the booking app says of its own performance. Pure: the same seed and time give the same.

Load comes and goes within the hour; memory grows until it is collected, every ten minutes.
"""

import math
from datetime import UTC, datetime
from random import Random
from typing import Any

APP = "booking-app"
EVERY_S = 5
_HOUR_S = 3_600
_COLLECTED_S = 600
_TOTAL = 512 << 20


def app_metrics(seed: int, at: int) -> dict[str, Any]:
    """The body of `POST /api/apps/{appId}/metrics` at second `at`."""
    now = Random(f"{seed}-app-{at // EVERY_S}")
    load = 0.5 + 0.35 * math.sin(2 * math.pi * (at % _HOUR_S) / _HOUR_S)
    user, system = 55 * load + now.uniform(0, 8), 14 * load + now.uniform(0, 4)
    used = round(_TOTAL * (0.35 + 0.4 * (at % _COLLECTED_S) / _COLLECTED_S + now.uniform(0, 0.03)))
    return {
        "appId": APP,
        "userId": f"user-{now.randrange(8)}",
        "metrics": {
            "cpu": {"usage": round(user + system, 1), "system": round(system, 1), "user": round(user, 1)},
            "memory": {"used": used, "total": _TOTAL, "free": _TOTAL - used},
            "eventLoop": {"lagMs": round(1 + 6 * load * now.expovariate(1), 2)},
            "requests": {"active": round(40 * load + now.uniform(0, 5))},
        },
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
