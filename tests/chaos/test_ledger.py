"""The ledger itself: it must notice everything, or its PASS means nothing."""

import random

import pytest
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tiers import FINE, TIERS

from tests.chaos.answered import SPAN_WINDOWS, spans
from tests.chaos.ledger import Cell, Counts, Ledger, Running, Sample, compare, totals
from tests.chaos.load import Plan, Series

NOW = 1_790_000_000_000
SERIES = [series_key("t", "m", Kind.COUNTER, {"n": str(n)}) for n in range(3)]


def ledger_of(*samples: Sample) -> Ledger:
    ledger = Ledger("t")
    ledger.add(samples)
    return ledger


@pytest.fixture
def ledger() -> Ledger:
    return ledger_of(
        Sample(SERIES[0], NOW, 5),
        Sample(SERIES[0], NOW + 1, 7),
        Sample(SERIES[0], NOW + 60_000, 1),
        Sample(SERIES[1], NOW, -3),
    )


def copy_of(ledger: Ledger) -> Counts:
    return ledger.expected()


def test_equal_counts_have_no_difference(ledger: Ledger) -> None:
    assert compare(ledger, copy_of(ledger), "x") == []


def test_empty_store_differs_for_every_expected_cell(ledger: Ledger) -> None:
    differences = compare(ledger, Counts({}, {}), "x")
    cells = sum(len(ledger.expected().windows[tier.name]) for tier in TIERS)
    assert len(differences) == cells + 2
    assert all(difference.found is None for difference in differences)


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
@pytest.mark.parametrize("field", Cell.__slots__)
def test_one_wrong_number_in_one_cell_is_found(ledger: Ledger, tier, field: str) -> None:
    found = copy_of(ledger)
    cell = next(iter(found.windows[tier.name].values()))
    setattr(cell, field, getattr(cell, field) + 1)
    assert len(compare(ledger, found, "x")) == 1


def test_missing_series_is_found_though_the_others_are_right(ledger: Ledger) -> None:
    found = copy_of(ledger)
    gone = SERIES[1].fingerprint
    for tier in TIERS:
        found.windows[tier.name] = {key: cell for key, cell in found.windows[tier.name].items() if key[0] != gone}
    del found.running[gone]
    differences = compare(ledger, found, "x")
    assert len(differences) == len(TIERS) + 1
    assert all("n=1" in str(difference) for difference in differences)


def test_series_nobody_sent_and_window_nobody_filled_are_found(ledger: Ledger) -> None:
    found = copy_of(ledger)
    found.windows["10s"][99, 0] = Cell.of(0, 1)
    found.windows["1m"][SERIES[0].fingerprint, 0] = Cell.of(0, 1)
    found.running[98] = Running(1, 1, 1, 1)
    assert len(compare(ledger, found, "x")) == 3


def test_sample_counted_twice_is_found_in_every_tier_and_in_the_running_sums(ledger: Ledger) -> None:
    twice = ledger_of(Sample(SERIES[0], NOW, 5), Sample(SERIES[0], NOW, 5), Sample(SERIES[0], NOW + 1, 7))
    twice.add([Sample(SERIES[0], NOW + 60_000, 1), Sample(SERIES[1], NOW, -3)])
    assert len(compare(ledger, twice.expected(), "x")) == len(TIERS) + 1


def test_order_does_not_matter_and_ties_have_a_rule() -> None:
    samples = [Sample(SERIES[0], NOW + i % 3, value) for i, value in enumerate(range(20))]
    shuffled = random.Random(1).sample(samples, len(samples))
    cell = ledger_of(*samples).fine[SERIES[0].fingerprint, FINE.floor(NOW)]
    assert cell == ledger_of(*shuffled).fine[SERIES[0].fingerprint, FINE.floor(NOW)]
    assert (cell.first_ts, cell.first, cell.last_ts, cell.last) == (NOW, 0, NOW + 2, 17)


def test_totals_count_series_samples_and_sum(ledger: Ledger) -> None:
    assert totals(ledger.fine) == (2, 4, 10)


def test_plan_repeats_from_its_seed_and_covers_types_lateness_and_sizes() -> None:
    series = Series(Ledger("t"), 60)
    one, two = (Plan(series, 7, now_ms=lambda: NOW) for _ in range(2))
    requests = [one.request() for _ in range(300)]
    assert [r.samples for r in requests] == [two.request().samples for _ in range(300)]
    samples = [sample for request in requests for sample in request.samples]
    assert {sample.series.kind for sample in samples} == {Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM}
    assert min(sample.timestamp for sample in samples) < NOW - 3_600_000
    assert {len(request.samples) for request in requests} >= {1, 60}
    assert len({request.key for request in requests}) == 300


def test_spans_cover_every_window_once_and_stay_short() -> None:
    starts = [0, 10, 20, 300, 5_000, *range(10_000, 14_000, 10)]
    found = list(spans(starts, 10))
    covered = [start for begin, end in found for start in range(begin, end, 10)]
    assert len(covered) == len(set(covered))
    assert set(starts) <= set(covered)
    assert max(end - begin for begin, end in found) <= 10 * (SPAN_WINDOWS + 1)
