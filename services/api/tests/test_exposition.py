"""The exposition, read back by Prometheus's own parsers."""

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from vigie_api.exposition.families import FamilyIndex, LatestTable
from vigie_api.exposition.negotiation import Escaping, Format, negotiate
from vigie_api.exposition.writing import Exposition
from vigie_contracts.latest import Latest
from vigie_contracts.series import Kind
from vigie_query.series import Series

NOW = 1_790_000_000_000
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def series(entries: list[tuple[str, Kind, dict[str, str]]]) -> list[Series]:
    return [
        Series(i, name, kind, tuple(sorted(labels.items())), i % 3, i // 3, NOW)
        for i, (name, kind, labels) in enumerate(entries)
    ]


def write(
    entries: list[tuple[str, Kind, dict[str, str]]],
    accept: str = "",
    ages_ms: list[int] | None = None,
    since: int = NOW - 300_000,
) -> tuple[str, int]:
    """The text, and how many series were dropped. Value of series i: i + 0.5; its sum 10 * i, its count i + 1."""
    every = series(entries)
    index = FamilyIndex()
    for partition in range(3):
        index.add(one for one in every if one.partition == partition)
    ages = ages_ms or [0] * len(every)
    chunks = {}
    for partition in range(3):
        own = [(i, one) for i, one in enumerate(every) if one.partition == partition]
        if own:
            chunks[partition, 0] = Latest(
                np.array([one.slot for _, one in own], np.uint8),
                np.array([NOW - ages[i] for i, _ in own], np.int64),
                np.array([i + 0.5 for i, _ in own]),
                np.array([10.0 * i for i, _ in own]),
                np.array([i + 1 for i, _ in own], np.int64),
            )
    exposition = Exposition(index.families(), LatestTable(chunks), negotiate(accept), since)
    text = b"".join(exposition.pieces()).decode()
    return text, exposition.dropped


def samples(text: str, accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parse = parse_openmetrics if "openmetrics" in accept else parse_text
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in parse(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


PLAIN = [
    ("active_users", Kind.GAUGE, {"service": "web"}),
    ("custom_counter", Kind.COUNTER, {"service": "booking", "endpoint": "/api/bookings"}),
    ("http_requests_total", Kind.CUMULATIVE, {}),
    ("duration_seconds", Kind.HISTOGRAM, {"text": 'a"b\\c\nd'}),
]


def test_text_shows_each_kind_as_it_is_meant() -> None:
    text, _ = write(PLAIN)
    assert 'custom_counter{endpoint="/api/bookings",service="booking"} 10.0\n' in text
    found = samples(text)
    assert found["active_users", (("service", "web"),)] == 0.5
    # The parser itself gives counters the suffix.
    assert found["custom_counter_total", (("endpoint", "/api/bookings"), ("service", "booking"))] == 10
    assert found["http_requests_total", ()] == 2.5
    assert found["duration_seconds_count", (("text", 'a"b\\c\nd'),)] == 4
    assert found["duration_seconds_sum", (("text", 'a"b\\c\nd'),)] == 30


def test_openmetrics_ends_with_eof_and_counters_have_total() -> None:
    text, _ = write(PLAIN, OPENMETRICS)
    assert text.endswith("# EOF\n")
    found = samples(text, OPENMETRICS)
    assert found["custom_counter_total", (("endpoint", "/api/bookings"), ("service", "booking"))] == 10
    assert found["http_requests_total", ()] == 2.5


def test_a_counter_called_total_keeps_a_name() -> None:
    entries = [("_total", Kind.COUNTER, {})]
    text, dropped = write(entries, OPENMETRICS)
    assert dropped == 0
    assert "# TYPE _total counter\n" in text
    assert samples(text, OPENMETRICS) == {("_total_total", ()): 0}


def test_nothing_is_an_empty_text_and_a_valid_openmetrics() -> None:
    assert write([])[0] == ""
    assert write([], OPENMETRICS)[0] == "# EOF\n"


def test_stale_series_are_left_out_unless_asked_for() -> None:
    ages = [0, 400_000, 0, 0]
    assert "custom_counter" not in write(PLAIN, ages_ms=ages)[0]
    assert "custom_counter" in write(PLAIN, ages_ms=ages, since=0)[0]


CLASHING = [
    ("a.b", Kind.GAUGE, {"x.y": "1"}),
    ("a.b", Kind.GAUGE, {"x_y": "1"}),
    ("a.b", Kind.GAUGE, {"x.y": "1", "x_y": "2"}),
    ("a/b", Kind.GAUGE, {}),
    ("a_b", Kind.GAUGE, {}),
    ("hits", Kind.GAUGE, {}),
    ("hits", Kind.COUNTER, {}),
    ("hits", Kind.HISTOGRAM, {}),
    ("hits_total", Kind.COUNTER, {}),
    ("hits_sum", Kind.GAUGE, {}),
    ("http.server", Kind.COUNTER, {"le": "1"}),
    ("k-z", Kind.CUMULATIVE, {}),
]


@pytest.mark.parametrize("accept", ["", OPENMETRICS, PROMETHEUS_3, "text/plain;escaping=values", "*/*"])
def test_clashing_names_never_give_a_sample_twice(accept: str) -> None:
    text, dropped = write(CLASHING, accept)
    families = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len({line.split()[2] for line in families}) == len(families)
    found = samples(text, accept)
    assert dropped == 0
    assert len(found) == len(CLASHING) + 1  # a histogram has two


def test_escaped_names_give_way_to_real_ones() -> None:
    found = samples(write(CLASHING)[0])
    assert found["a_b", ()] == 4.5
    assert found["U__a_2e_b", (("x_y", "1"),)] == 1.5
    assert found["http_server_total", (("le", "1"),)] == 100


def test_names_are_quoted_for_clients_that_take_utf8() -> None:
    text, _ = write(CLASHING, PROMETHEUS_3)
    assert '{"a.b","x.y"="1"} 0.5' in text
    assert '# TYPE "a.b" gauge' in text


def test_negotiation_prefers_what_the_client_prefers() -> None:
    assert negotiate("").content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert negotiate("text/html, */*;q=0.1").format is Format.TEXT
    assert negotiate(PROMETHEUS_3).format is Format.OPENMETRICS
    assert negotiate(PROMETHEUS_3).escaping is Escaping.UTF8
    assert negotiate("application/openmetrics-text;version=2.0.0,text/plain;q=0.5").format is Format.TEXT
    assert negotiate("application/openmetrics-text;q=0,text/plain").format is Format.TEXT
    assert negotiate("application/openmetrics-text;q=x;;=,").format is Format.TEXT


def test_an_index_grows_and_never_repeats() -> None:
    index = FamilyIndex()
    every = [one for one in series([("m", Kind.GAUGE, {"i": str(i)}) for i in range(30)]) if one.partition == 0]
    index.add(every[:4])
    index.add(every)
    assert index.size == len(every)
    assert index.known == {0: len(every)}
    assert len(index.family("m", Kind.GAUGE)) == len(every)
