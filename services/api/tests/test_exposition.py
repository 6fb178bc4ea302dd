"""The exposition, read back by Prometheus's own parsers."""

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from vigie_api.exposition.negotiation import Escaping, Format, negotiate
from vigie_api.exposition.writing import Exposition
from vigie_contracts.latest import BUCKET_BOUNDS, Buckets, Latest
from vigie_contracts.series import Kind
from vigie_query.series import Series
from vigie_summaries.families.families import FamilyIndex, LatestTable

NOW = 1_790_000_000_000
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
FORMATS = [
    "",
    OPENMETRICS,
    PROMETHEUS_3,
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;escaping=values",
    OPENMETRICS + ";escaping=values",
    "*/*",
]
Entry = tuple[str, Kind, dict[str, str]]
Identity = tuple[str, tuple[tuple[str, str], ...]]


def series(entries: list[Entry]) -> list[Series]:
    return [
        Series(i, name, kind, tuple(sorted(labels.items())), i % 3, i // 3, NOW)
        for i, (name, kind, labels) in enumerate(entries)
    ]


def write(entries: list[Entry], accept: str = "", ages_ms: list[int] | None = None, since: int = NOW - 300_000) -> str:
    """The text. Value of series i: i + 0.5; its sum 10 * i, its count i + 1; of that all but one lie at or below 0.25
    when it is a histogram."""
    every = series(entries)
    index = FamilyIndex()
    for partition in range(3):
        index.add(one for one in every if one.partition == partition)
    ages = ages_ms or [0] * len(every)
    chunks = {}
    for partition in range(3):
        own = [(i, one) for i, one in enumerate(every) if one.partition == partition]
        spread = [(i, one.slot) for i, one in own if one.kind is Kind.HISTOGRAM and i]
        if own:
            chunks[partition, 0] = Latest(
                np.array([one.slot for _, one in own], np.uint8),
                np.array([NOW - ages[i] for i, _ in own], np.int64),
                np.array([i + 0.5 for i, _ in own]),
                np.array([10.0 * i for i, _ in own]),
                np.array([i + 1 for i, _ in own], np.int64),
                Buckets(
                    np.array([slot for _, slot in spread], np.uint8),
                    np.full(len(spread), 10, np.uint8),
                    np.array([i for i, _ in spread], np.int64),
                ),
            )
    exposition = Exposition(index.families(), LatestTable(chunks), negotiate(accept), since)
    return b"".join(exposition.pieces()).decode()


def samples(text: str, accept: str = "") -> dict[Identity, float]:
    parse = parse_openmetrics if "openmetrics" in accept else parse_text
    found: dict[Identity, float] = {}
    for family in parse(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


PLAIN: list[Entry] = [
    ("active_users", Kind.GAUGE, {"service": "web"}),
    ("custom_counter", Kind.COUNTER, {"service": "booking", "endpoint": "/api/bookings"}),
    ("http_requests_total", Kind.CUMULATIVE, {}),
    ("duration_seconds", Kind.HISTOGRAM, {"text": 'a"b\\c\nd'}),
    ("bookings_total", Kind.COUNTER, {"service": "a"}),
]


def test_text_shows_each_kind_as_it_is_meant() -> None:
    text = write(PLAIN)
    assert 'custom_counter{endpoint="/api/bookings",service="booking",vigie_type="counter"} 10.0\n' in text
    assert 'http_requests_total{vigie_type="cumulative"} 2.5\n' in text
    assert 'bookings_total{service="a"} 40.0\n' in text
    found = samples(text)
    assert found["active_users", (("service", "web"),)] == 0.5
    assert found["duration_seconds_count", (("text", 'a"b\\c\nd'),)] == 4
    assert found["duration_seconds_sum", (("text", 'a"b\\c\nd'),)] == 30


@pytest.mark.parametrize("accept", FORMATS)
def test_names_and_labels_are_the_same_in_every_format(accept: str) -> None:
    def lines(text: str) -> set[str]:
        return {line for line in text.splitlines() if not line.startswith("#")}

    assert lines(write(PLAIN, accept)) == lines(write(PLAIN))


@pytest.mark.parametrize("accept", FORMATS)
def test_histograms_have_cumulative_buckets_with_exact_bounds(accept: str) -> None:
    text = write([("x", Kind.GAUGE, {}), ("duration_seconds", Kind.HISTOGRAM, {"service": "a", "le": "own"})], accept)
    assert "# TYPE duration_seconds histogram\n" in text
    found = samples(text, accept)
    own = (("exported_le", "own"), ("service", "a"))

    def upto(bound: str) -> float:
        return found["duration_seconds_bucket", (own[0], ("le", bound), own[1])]

    assert [upto(repr(bound)) for bound in BUCKET_BOUNDS] == [0.0] * 10 + [1.0] * (len(BUCKET_BOUNDS) - 10)
    assert upto("+Inf") == found["duration_seconds_count", own] == 2
    assert BUCKET_BOUNDS[10] == pytest.approx(0.25, rel=0.0202)


def test_openmetrics_ends_with_eof_and_knows_counters_by_their_total() -> None:
    text = write(PLAIN, OPENMETRICS)
    assert text.endswith("# EOF\n")
    assert "# TYPE bookings counter\n" in text
    assert "# TYPE custom_counter unknown\n" in text
    found = samples(text, OPENMETRICS)
    assert found["http_requests_total", (("vigie_type", "cumulative"),)] == 2.5


def test_a_counter_called_total_keeps_its_name() -> None:
    assert samples(write([("_total", Kind.COUNTER, {})], OPENMETRICS), OPENMETRICS) == {("_total", ()): 0}


def test_nothing_is_an_empty_text_and_a_valid_openmetrics() -> None:
    assert write([]) == ""
    assert write([], OPENMETRICS) == "# EOF\n"


def test_stale_series_are_left_out_unless_asked_for() -> None:
    ages = [0, 400_000, 0, 0, 0]
    assert "custom_counter" not in write(PLAIN, ages_ms=ages)
    assert "custom_counter" in write(PLAIN, ages_ms=ages, since=0)


def test_both_counters_of_a_name_are_one_family() -> None:
    own = ("requests_total", Kind.CUMULATIVE, {"service": "a"})
    text = write([own, ("requests_total", Kind.COUNTER, {"service": "a"})])
    assert text.count("# TYPE") == 1
    line = 'requests_total{service="a",vigie_type="cumulative"} 0.5\n'
    assert line in text
    assert line in write([own])
    assert 'requests_total{service="a"} 10.0\n' in text


def test_what_shares_a_name_with_another_type_stands_without_a_type() -> None:
    text = write([("x", Kind.HISTOGRAM, {}), ("x_count", Kind.GAUGE, {}), ("y", Kind.GAUGE, {})])
    assert "# TYPE x_count untyped\n" in text
    assert "# TYPE x_bucket untyped\n" in text
    assert "# TYPE y gauge\n" in text
    assert "# TYPE x histogram" not in text
    assert "x_count 1\n" in text
    assert 'x_count{vigie_type="gauge"} 1.5\n' in text


CLASHING: list[Entry] = [
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


def test_other_characters_become_underscores_beside_the_name_as_it_was_sent() -> None:
    found = samples(write(CLASHING))
    assert found["a_b", ()] == 4.5
    assert found["a_b", (("vigie_name", "a/b"),)] == 3.5
    assert found["a_b", (("vigie_labels", "x.y"), ("vigie_name", "a.b"), ("x_y", "1"))] == 0.5
    assert found["a_b", (("vigie_name", "a.b"), ("x_y", "1"))] == 1.5
    assert found["a_b", (("U__x_2e_y", "1"), ("vigie_labels", "x.y"), ("vigie_name", "a.b"), ("x_y", "2"))] == 2.5


def test_names_are_quoted_for_clients_that_take_utf8() -> None:
    text = write(CLASHING, PROMETHEUS_3)
    assert '{"a.b","x.y"="1"} 0.5' in text
    assert '# TYPE "a.b" gauge' in text


# Names that are, or become, each other's; a few of them are far more telling than many.
name = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["x", "a.b", "a_b", "a/b", "U__a_2e_b", "_total", "x_total"]),
        st.sampled_from(["", "", "_total", "_count", "_sum", "_bucket", ".count", "_created", "_total_total"]),
    ),
)
label = st.sampled_from(
    ["l", "le", "exported_le", "x.y", "x_y", "x/y", "U__x_2e_y", "vigie_type", "exported_vigie_type", "vigie.type",
     "vigie_name", "vigie_labels", "exported.le"]
)  # fmt: skip
value = st.sampled_from(["1", "gauge", "counter", "cumulative", "a.b", "x.y", "+Inf", 'q"\\\n,{}='])
entry = st.tuples(name, st.sampled_from(Kind), st.dictionaries(label, value, max_size=3))
population = st.lists(
    entry, min_size=1, max_size=6, unique_by=lambda one: (one[0], one[1], tuple(sorted(one[2].items())))
)


def identities(text: str) -> list[str]:
    """Name and labels of every sample, as they stand there."""
    return [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]


@settings(max_examples=150, deadline=None)
@given(population=population, accept=st.sampled_from(FORMATS))
def test_a_series_is_exposed_alike_whatever_other_series_there_are(population: list[Entry], accept: str) -> None:
    together = identities(write(population, accept))
    alone = [identity for one in population for identity in identities(write([one], accept))]
    assert sorted(together) == sorted(alone)
    assert len(set(together)) == len(together), "two series have one identity"


@settings(max_examples=100, deadline=None)
@given(population=population, accept=st.sampled_from(FORMATS))
@example(population=[("x", Kind.CUMULATIVE, {}), ("x_total", Kind.CUMULATIVE, {})], accept="")
def test_no_parser_finds_a_family_or_a_sample_twice(population: list[Entry], accept: str) -> None:
    text = write(population, accept)
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(families)) == len(families)
    found = samples(text, accept)
    histograms = sum(kind is Kind.HISTOGRAM for _, kind, _ in population)
    assert len(found) == len(population) + histograms * (len(BUCKET_BOUNDS) + 2)
    assert not any(math.isnan(value) for value in found.values())


def promtool(*arguments: str, given: str = "") -> str:
    """What it says."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: the text was only read by the client library's parsers")
    ran = subprocess.run([tool, *arguments], input=given, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 3), ran.stdout + ran.stderr  # 3: it has advice on names
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("accept", ["", "text/plain;escaping=values"])
def test_promtool_accepts_the_text(accept: str) -> None:
    text = write([*PLAIN, *CLASHING, ("x", Kind.HISTOGRAM, {}), ("x_count", Kind.GAUGE, {})], accept)
    assert "error while" not in promtool("check", "metrics", given=text)


def test_prometheus_finds_the_quantile_of_a_histogram(tmp_path: Path) -> None:
    """Between two answers it gets 99 observations, all between the bounds near 0.1 and 0.25."""
    name = "http_request_duration_seconds"
    before, after = (
        samples(write([*(("x", Kind.GAUGE, {"i": str(i)}) for i in range(others)), (name, Kind.HISTOGRAM, {})]))
        for others in (0, 99)
    )
    rows = [
        {"series": f'{sample}{{le="{dict(labels).get("le", "")}"}}', "values": f"{count}x4 {after[sample, labels]}x10"}
        for (sample, labels), count in before.items()
    ]
    expression = f"count(histogram_quantile(0.95, rate({name}_bucket[5m])) > 0.1 < 0.26)"
    found = {"expr": expression, "eval_time": "6m", "exp_samples": [{"labels": "{}", "value": 1}]}
    tests = {"tests": [{"interval": "1m", "input_series": rows, "promql_expr_test": [found]}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(tests))
    promtool("test", "rules", str(tmp_path / "test.yml"))


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
