"""The core stays pure.

Why: arithmetic of windows, questions over series and verdicts on input are what has to be right; they can be tested by
the million only as long as nothing in them waits, looks at a clock or needs a server.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from typing import Final

from tools.lints.imports import OURS, imported
from tools.lints.source import Finding, Source

SAMPLES: Final = "services/aggregator/vigie_aggregator/samples"
API: Final = "services/api/vigie_api"
INGEST: Final = "services/ingest/vigie_ingest"
PUBLISHING: Final = "libs/publishing/vigie_publishing"
ALERTING: Final = "services/alerting/vigie_alerting"
HEALTHCHECK: Final = "services/healthcheck/vigie_healthcheck"

PURE: Final = {
    "libs/contracts/vigie_contracts/*": "msgspec numpy",
    "libs/windows/vigie_windows/*": "numpy",
    "libs/query/vigie_query/*": "numpy re2",
    "libs/summaries/vigie_summaries/numbers.py": "numpy",
    "libs/summaries/vigie_summaries/totals.py": "numpy",
    f"{SAMPLES}/columns.py": "numpy",
    f"{SAMPLES}/keys.py": "numpy",
    f"{SAMPLES}/latest.py": "numpy",
    f"{SAMPLES}/live.py": "msgspec numpy",
    f"{SAMPLES}/pending.py": "numpy",
    f"{SAMPLES}/schedule.py": "",
    f"{SAMPLES}/series_index.py": "numpy",
    f"{SAMPLES}/sizes.py": "",
    f"{SAMPLES}/window_cache.py": "numpy",
    "services/aggregator/vigie_aggregator/reports/counting.py": "",
    f"{ALERTING}/alert.py": "msgspec",
    f"{ALERTING}/commands.py": "msgspec",
    f"{ALERTING}/lifecycle.py": "msgspec",
    f"{ALERTING}/notifying/groups.py": "msgspec",
    f"{ALERTING}/notifying/places.py": "",
    f"{ALERTING}/notifying/working.py": "msgspec",
    f"{ALERTING}/transitions.py": "msgspec",
    f"{ALERTING}/rules/*": "msgspec yaml",
    f"{ALERTING}/templates/*": "jinja2 re2",
    "services/healthcheck/vigie_healthcheck/probes/conditions.py": "msgspec re2",
    "services/healthcheck/vigie_healthcheck/probes/jsonpath.py": "",
    f"{API}/dashboard/charts.py": "",
    f"{API}/node_reports/health.py": "",
    f"{API}/node_reports/numbers.py": "",
    f"{API}/node_reports/periods.py": "",
    f"{HEALTHCHECK}/maintenance.py": "",
    f"{HEALTHCHECK}/schedule.py": "",
    f"{HEALTHCHECK}/state.py": "msgspec",
    f"{INGEST}/decoding.py": "msgspec",
    f"{PUBLISHING}/keys.py": "",
    f"{PUBLISHING}/metric.py": "msgspec",
    f"{PUBLISHING}/series/key.py": "msgspec",
    f"{PUBLISHING}/timestamps.py": "msgspec numpy",
}
"""Files (`*` also goes over directories), and what they may import beside the standard library and packages of ours.
Which of ours, `imports.py` says."""

IMPURE: Final = frozenset({
    "asyncio", "concurrent", "logging", "multiprocessing", "os", "pathlib", "random", "selectors", "shutil", "signal",
    "socket", "ssl", "subprocess", "tempfile", "threading", "time",
})  # fmt: skip
"""Modules of the standard library that wait, look at the world or change it."""


def check(files: Iterable[Source]) -> Iterator[Finding]:
    """Every import that a pure file must not have, and every row of the table without a file."""
    unused = set(PURE)
    for source in files:
        for pattern, foreign in PURE.items():
            if fnmatch(source.path, pattern):
                unused.discard(pattern)
                yield from _impure(source, frozenset(foreign.split()))
    for pattern in sorted(unused):
        yield Finding("tools/lints/pure.py", 1, f"{pattern} is no file any more: say where its subject went")


def _impure(source: Source, foreign: frozenset[str]) -> Iterator[Finding]:
    for line, name in imported(source):
        top = name.partition(".")[0]
        harmless = top in sys.stdlib_module_names and top not in IMPURE
        if not harmless and top not in foreign and not top.startswith(OURS):
            may = ", ".join(sorted(foreign)) or "nothing foreign"
            yield Finding(source.path, line, f"imports {top}, but is pure: {may}, no input or output, no clock")
