"""Vigie's HTTP traffic, from what its services count anyway: nothing is added to a request for it."""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Final

from vigie_client import Client
from vigie_contracts import names

from vigie_standalone.probes import fetch

log = logging.getLogger("vigie.self_monitoring")

SERVICES: Final = ("ingest", "api")
MAX_TEXT_BYTES: Final = 1024 * 1024
MAX_DURATIONS: Final = 500
"""Of one look at one service. Of more requests a part in proportion is sent, at least one of each bucket."""
_SAMPLE: Final = re.compile(r"vigie_(?:ingest|api)_(requests_total|request_duration_seconds_bucket)\{([^}]*)\} (\S+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
STATUSES: Final = {
    "ok": "2xx", "refused": "4xx", "unavailable": "503", "failed": "500",  # how `api` says it
    "gone": "499",  # the sender hung up
}  # fmt: skip

Labels = tuple[tuple[str, str], ...]
Counts = dict[tuple[str, Labels], float]


class Traffic:
    """What the front door answered between two looks. `collect` is for `Client.add_collector`."""

    def __init__(self, client: Client, url: str) -> None:
        """`url` is the front door's."""
        self._client = client
        self._url = url
        self._before: dict[str, Counts] = {}

    def collect(self) -> None:
        """Look at every service. What cannot be read is left out: the next look makes up for it."""
        for service in SERVICES:
            try:
                text = fetch(f"{self._url}/internal/metrics/{service}", MAX_TEXT_BYTES)
            except OSError as error:
                log.debug("the metrics of %s cannot be read: %r", service, error)
                continue
            self.look(service, text)

    def look(self, service: str, text: str) -> None:
        """Record what was added since the look before; the first one only begins."""
        now, before = parse(text), self._before.get(service)
        self._before[service] = now
        if before is None:
            return
        added = {key: _grown(count, before.get(key, 0)) for key, count in now.items()}
        whole = {"service": f"vigie-{service}"}
        for (metric, labels), count in added.items():
            if metric == "requests_total" and count:
                self._client.counter(names.HTTP_REQUESTS, count, {**whole, **_route(dict(labels))})
        self._durations(whole, added)

    def _durations(self, whole: Mapping[str, str], added: Counts) -> None:
        found = list(_middles(added))
        share = min(1.0, MAX_DURATIONS / max(1.0, sum(count for _, _, count in found)))
        for labels, seconds, count in found:
            endpoint = {**whole, "endpoint": labels.get("route") or labels.get("area", "")}
            for _ in range(max(1, round(count * share))):
                self._client.histogram(names.HTTP_DURATION, seconds, endpoint)


def parse(text: str) -> Counts:
    """(metric, its labels) -> its count, of those that say how many requests there were and how long they took."""
    return {
        (metric, tuple(sorted(_LABEL.findall(labels)))): float(value)
        for line in text.splitlines()
        if (found := _SAMPLE.match(line))
        for metric, labels, value in [found.groups()]
    }


def _grown(now: float, before: float) -> float:
    """A service that was started again counts from nothing."""
    return now - before if now >= before else now


def _route(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that summaries know: `ingest` says route and class of status, `api` area and outcome."""
    status = labels.get("status") or labels.get("outcome", "")
    method = {"method": "POST"} if "route" in labels else {}
    return {
        "endpoint": labels.get("route") or labels.get("area", ""), "status": STATUSES.get(status, status), **method,
    }  # fmt: skip


def _middles(added: Counts) -> Iterator[tuple[dict[str, str], float, float]]:
    """(labels, middle of a bucket in seconds, requests in it). Of the last bucket its lower bound."""
    of_route: dict[Labels, dict[float, float]] = {}
    for (metric, labels), count in added.items():
        if metric == "request_duration_seconds_bucket":
            own = dict(labels)
            bound = float(own.pop("le"))
            of_route.setdefault(tuple(own.items()), {})[bound] = count
    for labels, buckets in of_route.items():
        lower, counted = 0.0, 0.0
        for bound in sorted(buckets):
            count = buckets[bound] - counted
            if count > 0:  # scraped while it is written, a bucket may be ahead of the next
                yield dict(labels), lower if bound == float("inf") else (lower + bound) / 2, count
            lower, counted = bound, buckets[bound]
