"""The simulated services: deterministic, with a rhythm, a funnel that narrows, and incidents that show."""

import operator
from datetime import UTC, datetime
from random import Random
from statistics import mean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.rules.shipped import shipped
from vigie_contracts import names
from vigie_contracts.alerts import Condition
from vigie_contracts.events import EVENT_DATA, CloudEvent, event_name
from vigie_standalone.demo.control import Control, UnknownIncidentError
from vigie_standalone.demo.incidents import FIRST, INCIDENTS, SLOT_S, USUAL_S, Conditions, conditions, due
from vigie_standalone.demo.messages import SERVICE_UP, cloud_events, metric_items
from vigie_standalone.demo.model import Activity, binomial, poisson, rhythm, simulate
from vigie_standalone.demo.services import SERVICES

NOON = int(datetime(2026, 11, 18, 12, 0, tzinfo=UTC).timestamp() * 1000)
NIGHT = int(datetime(2026, 11, 18, 3, 0, tzinfo=UTC).timestamp() * 1000)
BY_NAME = {service.name: service for service in SERVICES}


def minutes(service: str, start: int, count: int, *active: str) -> list[Activity]:
    state = conditions(service, active)
    return [simulate(7, BY_NAME[service], start + i * 60_000, 60, state=state) for i in range(count)]


def test_same_seed_gives_the_same_and_another_seed_does_not() -> None:
    service = SERVICES[0]
    assert simulate(1, service, NOON, 10) == simulate(1, service, NOON, 10)
    assert simulate(1, service, NOON, 10) != simulate(2, service, NOON, 10)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_noon_is_busier_than_night(name: str) -> None:
    noon = sum(a.funnel["visit"] for a in minutes(name, NOON, 10))
    night = sum(a.funnel["visit"] for a in minutes(name, NIGHT, 10))
    assert noon > 2 * night > 0


def test_rhythm_has_no_jump_at_midnight_and_stays_positive() -> None:
    before = rhythm(datetime(2026, 11, 18, 23, 59, 59, tzinfo=UTC))
    after = rhythm(datetime(2026, 11, 19, 0, 0, 0, tzinfo=UTC))
    assert abs(before - after) < 0.01
    assert all(rhythm(datetime(2026, 11, 18, h, tzinfo=UTC)) >= 0.1 for h in range(24))


@given(st.integers(0, 2**31), st.sampled_from(SERVICES), st.integers(0, 86_400), st.sampled_from([0.1, 1.0, 50.0]))
def test_funnel_only_narrows_and_money_follows_bookings(seed: int, service, second: int, rate: float) -> None:
    activity = simulate(seed, service, NOON + second * 1000, 1, rate=rate)
    counts = list(activity.funnel.values())
    assert counts == sorted(counts, reverse=True)
    assert list(activity.funnel) == ["visit", "search", "cart", "payment", "booked"]
    assert sum(payment.succeeded for payment in activity.payments) == activity.funnel["booked"]
    assert len(activity.payments) == activity.funnel["payment"]
    assert all(0 <= host.cpu_percent <= 100 and 0 <= host.memory_percent <= 100 for host in activity.hosts)
    for requests in activity.requests:
        assert all(count > 0 for count in requests.by_status.values())


def test_payment_outage_stops_nine_bookings_of_ten_everywhere() -> None:
    for name in BY_NAME:
        good = sum(a.funnel["booked"] for a in minutes(name, NOON, 10))
        bad = sum(a.funnel["booked"] for a in minutes(name, NOON, 10, "payment-outage"))
        assert bad < good / 3


def test_slow_search_slows_only_the_services_it_names() -> None:
    def search(name: str, *active: str) -> float:
        requests = [r for a in minutes(name, NOON, 3, *active) for r in a.requests if "search" in r.endpoint]
        return mean(latency for r in requests for latency in r.latencies_s)

    assert search("hotel-booking", "slow-search") > 5 * search("hotel-booking")
    assert search("train-tickets", "slow-search") == search("train-tickets")


def test_every_incident_changes_somebodys_conditions() -> None:
    for incident in INCIDENTS.values():
        assert any(conditions(name, [incident.name]) != Conditions() for name in BY_NAME)
        assert set(incident.services) <= set(BY_NAME)


def worst(activities: list[Activity]) -> dict[str, float]:
    """The values that shipped rules look at, of minutes in a row: what held in every one, for the worst host."""
    hosts = [list(same) for same in zip(*(a.hosts for a in activities), strict=True)]
    requests = [r for a in activities for r in a.requests]
    statuses = [(status, count) for r in requests for status, count in r.by_status.items()]
    latencies = sorted(latency for r in requests for latency in r.latencies_s)
    return {
        names.CPU_USAGE: max(min(host.cpu_percent for host in same) for same in hosts),
        names.MEMORY_USAGE: max(min(host.memory_percent for host in same) for same in hosts),
        names.DISK_USAGE: max(min(host.disk_percent for host in same) for same in hosts),
        SERVICE_UP: min(max(host.running for host in same) for same in hosts),
        names.HTTP_REQUESTS: sum(n for s, n in statuses if s >= 500) / max(1, sum(n for _, n in statuses)),
        names.HTTP_DURATION: latencies[int(0.95 * len(latencies))] if latencies else 0.0,
    }


def crossed(values: dict[str, float]) -> set[str]:
    """The names of the shipped rules whose thresholds are crossed."""
    beyond = {Condition.GREATER: operator.gt, Condition.EQUAL: operator.eq}
    rules = [rule for rule in shipped("default") if rule.metric_name in values]
    return {r.name for r in rules if r.condition and beyond[r.condition](values[str(r.metric_name)], r.threshold)}


@pytest.mark.parametrize("start", [NOON, NIGHT])
@pytest.mark.parametrize("name", [i.name for i in INCIDENTS.values() if i.alerts])
def test_incident_crosses_the_thresholds_of_the_rules_that_it_names(name: str, start: int) -> None:
    incident = INCIDENTS[name]
    fired = {rule for service in incident.services for rule in crossed(worst(minutes(service, start, 5, name)))}
    if not conditions(incident.services[0], [name]).running:
        fired.add("ServiceUnavailable")  # its health endpoint says so: see test_demo_health.py
    assert set(incident.alerts) <= fired


@pytest.mark.parametrize("start", [NOON, NIGHT])
def test_good_day_crosses_no_threshold(start: int) -> None:
    for service in BY_NAME:
        assert crossed(worst(minutes(service, start, 5))) == set()


def test_something_goes_wrong_by_itself_once_in_half_an_hour_and_is_over_in_it() -> None:
    begin = NOON // 1000 - NOON // 1000 % SLOT_S
    begun = [(at, name) for at in range(begin, begin + 20 * SLOT_S) if (name := due(7, at))]
    assert [(at - begin) // SLOT_S for at, _ in begun] == list(range(20))
    assert all((at - begin) % SLOT_S + USUAL_S <= SLOT_S for at, _ in begun)
    assert {name for _, name in begun} <= {i.name for i in INCIDENTS.values() if i.alerts}
    assert len({name for _, name in begun}) > 1
    assert FIRST in INCIDENTS


def test_events_are_what_the_contracts_understand_and_their_ids_are_unique() -> None:
    events = [e for service in SERVICES for e in cloud_events(simulate(7, service, NOON, 60), 7)]
    kinds = {event_name(event["type"]) for event in events}
    assert kinds == set(EVENT_DATA)
    assert len({(e["source"], e["id"]) for e in events}) == len(events)
    for event in events:
        data = msgspec.convert(event.pop("data"), EVENT_DATA[event_name(event["type"])])
        assert msgspec.convert(event, CloudEvent).specversion == "1.0"
        assert data.service in BY_NAME
        when = datetime.fromisoformat(event["time"]).timestamp() * 1000
        assert NOON <= when < NOON + 60_000


def test_metric_items_lie_inside_their_slice_and_are_plain() -> None:
    items = [item for service in SERVICES for item in metric_items(simulate(7, service, NOON, 10))]
    assert {item["type"] for item in items} == {"counter", "gauge", "histogram"}
    assert all(NOON <= item["timestamp"] < NOON + 10_000 for item in items)
    assert all(isinstance(v, str) for item in items for v in item["labels"].values())
    assert names.SERVICE_UP in {item["name"] for item in items}


def test_random_numbers_have_the_right_means() -> None:
    rng = Random(1)
    assert abs(mean(poisson(rng, 3) for _ in range(3000)) - 3) < 0.15
    assert abs(mean(poisson(rng, 300) for _ in range(300)) - 300) < 5
    assert abs(mean(binomial(rng, 100, 0.3) for _ in range(500)) - 30) < 1
    assert abs(mean(binomial(rng, 10_000, 0.3) for _ in range(300)) - 3000) < 20
    assert binomial(rng, 5, 0) == 0
    assert binomial(rng, 5, 1) == 5


def test_incident_ends_by_itself_or_when_cleared(tmp_path) -> None:
    control = Control(tmp_path / "home" / "incidents.json")
    assert control.active(100) == []
    control.start("quiet", until=200)
    control.start("flash-sale", until=150)
    assert control.active(100) == ["flash-sale", "quiet"]
    assert control.active(160) == ["quiet"]
    control.clear()
    assert control.active(100) == []
    with pytest.raises(UnknownIncidentError, match="payment-outage"):
        control.start("nothing", until=1)
