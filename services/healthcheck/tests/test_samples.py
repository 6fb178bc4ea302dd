"""What a check becomes on the bus."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_healthcheck.checking import Checked
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.samples import check_id, check_of, samples_of
from vigie_healthcheck.state import step

NOW = 1_790_000_000_000


def values(verdict: Verdict, muted: str = "", **more: Any) -> dict[str, float]:
    target = Target(id="t1", tenant="acme", name="shop", kind="http", failure_threshold=2, **more)
    outcome = Outcome(verdict, "", 0.25, {"connect": 0.1}, {"probe_http_status_code": 200.0, "probe_odd": nan})
    made = step(None, target, outcome, NOW, muted=muted)
    found = samples_of(target, made, Checked(outcome), NOW)
    assert (found.tenant, found.at_ms) == ("acme", NOW)
    return {f"{one.name}{dict(one.labels)}": one.value for one in found.samples}


OF_SHOP = "{'kind': 'http', 'target': 'shop'}"
PHASE = "probe_phase_duration_seconds{'kind': 'http', 'target': 'shop', 'phase': 'connect'}"


@pytest.mark.parametrize("verdict", [Verdict.UP, Verdict.DEGRADED])
def test_what_answers_is_a_success(verdict: Verdict) -> None:
    assert values(verdict) == {
        f"probe_success{OF_SHOP}": 1.0,
        f"target_available{OF_SHOP}": 1.0,
        f"probe_duration_seconds{OF_SHOP}": 0.25,
        PHASE: 0.1,
        f"probe_http_status_code{OF_SHOP}": 200.0,
        f"target_up{OF_SHOP}": 1.0,
        f"target_muted{OF_SHOP}": 0.0,
    }


def test_a_failure_counts_at_once_and_the_target_is_down_at_its_threshold() -> None:
    found = values(Verdict.DOWN, "maintenance")
    assert found[f"probe_success{OF_SHOP}"] == 0.0
    assert f"target_up{OF_SHOP}" not in found, "one failure of two: nothing is known yet"
    assert found[f"target_muted{OF_SHOP}"] == 1.0
    assert found[f"target_available{OF_SHOP}"] == 1.0, "what fails in a maintenance is no outage"
    assert values(Verdict.DOWN, "dependency")[f"target_available{OF_SHOP}"] == 0.0


@pytest.mark.parametrize(("muted", "available"), [("", 0.0), ("dependency", 0.0), ("maintenance", 1.0)])
def test_only_in_maintenance_a_failure_does_not_count_against_uptime(muted: str, available: float) -> None:
    found = values(Verdict.DOWN, muted)
    assert (found[f"probe_success{OF_SHOP}"], found[f"target_available{OF_SHOP}"]) == (0.0, available)


def test_where_the_prober_failed_nothing_is_said_of_the_target() -> None:
    assert values(Verdict.UNKNOWN) == {f"target_muted{OF_SHOP}": 0.0}


def test_labels_of_the_target_do_not_take_the_place_of_what_it_is() -> None:
    found = values(Verdict.UP, group="web", labels={"site": "paris", "target": "x", "phase": "y"})
    own = "{'group': 'web', 'kind': 'http', 'phase': 'y', 'site': 'paris', 'target': 'shop'}"
    assert found[f"probe_success{own}"] == 1.0
    phase = "{'group': 'web', 'kind': 'http', 'site': 'paris', 'target': 'shop', 'phase': 'connect'}"
    assert found[f"probe_phase_duration_seconds{phase}"] == 0.1


def test_a_check_is_named_by_its_target_and_when_it_was_due() -> None:
    target = Target(id="t1", tenant="acme", name="shop", kind="http")
    outcome = Outcome(Verdict.DOWN, "refused", 0.00123456, {"connect": 0.001}, {})
    made = step(None, target, outcome, NOW, muted="dependency")
    check = check_of(target, made, Checked(outcome, 3), NOW)
    assert check.id == check_id("t1", NOW) != check_id("t1", NOW + 1)
    assert (check.tenant, check.target, check.name, check.probe) == ("acme", "t1", "shop", "http")
    assert (check.timestamp, check.verdict, check.state, check.muted) == (NOW, "down", "down", "dependency")
    assert (check.duration_ms, check.phases, check.attempts) == (1.235, {"connect": 1.0}, 3)
    one, other = (samples_of(target, made, Checked(outcome), at) for at in (NOW, NOW + 1))
    assert one.key != other.key
