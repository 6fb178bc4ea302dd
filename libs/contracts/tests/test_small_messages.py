"""Latest values, headers, problems and event names."""

from itertools import pairwise

import numpy as np
import pytest
from vigie_contracts import events, headers, latest, problems, tiers, topics


def test_latest_values_of_several_chunks_round_trip() -> None:
    written = latest.Latest(
        slots=np.array([0, 255, 0], np.uint8),
        timestamps=np.array([1, 2**44, 5]),
        values=np.array([0.5, -1.0, 2.0]),
        sums=np.array([10.0, 20.0, 30.0]),
        counts=np.array([3, 4, 5]),
    )
    bounds = [0, 2, 3]
    for (begin, end), packed in zip(pairwise(bounds), latest.pack(written, bounds), strict=True):
        read = latest.unpack(packed)
        for column in ("slots", "timestamps", "values", "sums", "counts"):
            assert (getattr(read, column) == getattr(written, column)[begin:end]).all()


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x01abc", b"\x01" + bytes(33 * 257)])
def test_foreign_bytes_are_no_latest_values(data: bytes) -> None:
    with pytest.raises(ValueError, match="no packed chunk"):
        latest.unpack(data)


def test_headers_are_a_complete_cloudevent() -> None:
    made = headers.cloudevent_headers(
        source="/vigie/ingest", type_=topics.SAMPLES.name, time_ms=1_764_000_000_123, content_type="application/x"
    )
    assert headers.header(made, "ce_time") == "2025-11-24T16:00:00.123Z"
    assert headers.header(made, "ce_specversion") == "1.0"
    assert headers.header(made, "ce_id")


def test_hostile_headers_are_absent() -> None:
    assert headers.header([("a", b"\xff"), ("b", None)], "a") is None
    assert headers.header([("a", b"\xff"), ("b", None)], "b") is None


def test_problem_repeats_detail_as_message() -> None:
    made = problems.problem(problems.ProblemKind.BUSY, 503, "try again", retry_after=2)
    assert (made.message, made.detail, made.title, made.retry_after) == (
        "try again",
        "try again",
        "Service Unavailable",
        2,
    )


@pytest.mark.parametrize("type_", ["booking.created", "com.acme.booking.created"])
def test_event_types_may_carry_a_prefix(type_: str) -> None:
    assert events.event_name(type_) in events.EVENT_DATA


def test_tiers_nest() -> None:
    for fine, coarse in zip(tiers.TIERS, tiers.TIERS[1:], strict=False):
        assert coarse.width_ms % fine.width_ms == 0
        assert coarse.retention_ms > fine.retention_ms
    assert tiers.HOUR.floor(1_764_000_000_123) == 1_764_000_000_000
