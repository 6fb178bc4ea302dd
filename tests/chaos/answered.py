"""Reads what was counted through the api, as a user does: every series, every tier, and the latest values."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx2 as httpx
from vigie_contracts.series import Kind, SeriesKey, kind_of
from vigie_contracts.tiers import TIERS, Tier

from tests.chaos.ledger import Cell, Cells, Counts, Difference, Ledger, Running, compare

GAP_WINDOWS = 30
"""Windows without a sample that are read along rather than asked around."""
SPAN_WINDOWS = 180
"""Windows in one question, so that no answer has too many points."""
GROUPS = 1_000
TIMEOUT_S = 60.0


async def counts(url: str, ledger: Ledger, tiers: Sequence[Tier] = TIERS) -> Counts:
    """Every window in which something is expected, all between them, and all running states. The api does not tell
    the first value of a window, nor the time of its last: those are taken over from what is expected."""
    expected = ledger.expected(tiers)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        windows = {tier.name: await _windows(client, ledger, tier, expected.windows[tier.name]) for tier in tiers}
        return Counts(windows, await _running(client, ledger))


async def differences(url: str, ledger: Ledger, tiers: Sequence[Tier] = TIERS) -> list[Difference]:
    """What the api says and the ledger does not, and the other way round."""
    return compare(ledger, await counts(url, ledger, tiers), "api", tiers)


def spans(starts: Iterable[int], width_ms: int) -> Iterator[tuple[int, int]]:
    """Stretches of time, in ms, that cover all of the windows and little else."""
    first: int | None = None
    last = 0
    for start in sorted(set(starts)):
        far = first is not None and (start - last > GAP_WINDOWS * width_ms or start - first >= SPAN_WINDOWS * width_ms)
        if first is not None and far:
            yield first, last + width_ms
            first = None
        first = start if first is None else first
        last = start
    if first is not None:
        yield first, last + width_ms


async def _windows(client: httpx.AsyncClient, ledger: Ledger, tier: Tier, expected: Cells) -> Cells:
    found: Cells = {}
    for name, kind in sorted({(series.name, series.kind) for series in ledger.series.values()}):
        mine = {fingerprint for fingerprint, series in ledger.series.items() if series.name == name}
        for start, end in spans((at for fingerprint, at in expected if fingerprint in mine), tier.width_ms):
            asked = {
                "metric": name,
                "from": start,
                "to": end,
                "step": tier.width_ms // 1000,
                "by": "*",
                "limit": GROUPS,
            }
            numbers = {
                function: await _numbers(client, {**asked, "function": function}, ledger.tenant, kind)
                for function in ("count", "avg", "min", "max", "last")
            }
            for place, count in numbers["count"].items():
                found[place] = _cell(numbers, place, count, expected.get(place))
    return found


def _cell(
    numbers: dict[str, dict[tuple[int, int], float]], place: tuple[int, int], count: float, like: Cell | None
) -> Cell:
    total = numbers["avg"][place] * count
    # Sums are integers; their mean is rounded once, so that the product is next to the integer or something is wrong.
    exact = round(total) if abs(total - round(total)) < 1e-3 else total
    first_ts, first, last_ts = (like.first_ts, like.first, like.last_ts) if like else (0, 0.0, 0)
    least, greatest, last = (numbers[function][place] for function in ("min", "max", "last"))
    return Cell(int(count), float(exact), least, greatest, first_ts, first, last_ts, last)


async def _numbers(
    client: httpx.AsyncClient, asked: dict[str, Any], tenant: str, kind: Kind
) -> dict[tuple[int, int], float]:
    answer = await client.get("/api/query_range", params=asked)
    if not answer.is_success:
        raise AssertionError(f"{answer.url}: {answer.status_code} {answer.text[:500]}")
    content = answer.json()
    if content["truncated"]:
        raise AssertionError(f"{answer.url}: more than {GROUPS} series")
    return {
        (_fingerprint(tenant, content["metric"], kind, line["labels"]), at): value
        for line in content["series"]
        for at, value in line["points"]
        if value is not None
    }


async def _running(client: httpx.AsyncClient, ledger: Ledger) -> dict[int, Running]:
    found: dict[int, Running] = {}
    cursor: str | None = None
    while True:
        asked = {"name": f"{ledger.prefix}*", "limit": GROUPS, **({"cursor": cursor} if cursor else {})}
        answer = await client.get("/api/series", params=asked)
        if not answer.is_success:
            raise AssertionError(f"{answer.url}: {answer.status_code} {answer.text[:500]}")
        content = answer.json()
        for item in content["series"]:
            fingerprint = int(item["fingerprint"], 16)
            if latest := item["latest"]:
                moment = _milliseconds(latest["timestamp"])
                found[fingerprint] = Running(latest["count"], latest["sum"], moment, latest["value"])
            assert fingerprint == _fingerprint(
                ledger.tenant, item["name"], kind_of(item["type"], item["temporality"]), item["labels"]
            )
        if (cursor := content["nextCursor"]) is None:
            return found


def _fingerprint(tenant: str, name: str, kind: Kind, labels: dict[str, str]) -> int:
    return SeriesKey(tenant, name, kind, tuple(sorted(labels.items()))).fingerprint


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
