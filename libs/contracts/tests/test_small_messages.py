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


def test_buckets_of_several_chunks_round_trip_and_chunks_without_any_stay_as_they_were() -> None:
    written = latest.Latest(
        slots=np.array([0, 255, 0, 7], np.uint8),
        timestamps=np.array([1, 2**44, 5, 6]),
        values=np.array([0.5, -1.0, 2.0, 3.0]),
        sums=np.array([10.0, 20.0, 30.0, 40.0]),
        counts=np.array([3, 4, 5, 6]),
        buckets=latest.Buckets(
            np.array([0, 255, 255, 7], np.uint8), np.array([0, 3, 29, 12], np.uint8), np.array([3, 1, 2**40, 6])
        ),
    )
    bounds, buckets = [0, 2, 3, 4], [0, 3, 3, 4]
    packed = latest.pack(written, bounds, buckets)
    for (begin, end), (first, last), data in zip(pairwise(bounds), pairwise(buckets), packed, strict=True):
        read = latest.unpack(data)
        for column in ("slots", "timestamps", "values", "sums", "counts"):
            assert (getattr(read, column) == getattr(written, column)[begin:end]).all()
        for column in ("slots", "bounds", "counts"):
            assert (getattr(read.buckets, column) == getattr(written.buckets, column)[first:last]).all()
    plain = latest.Latest(written.slots, written.timestamps, written.values, written.sums, written.counts)
    assert packed[1] == latest.pack(plain, bounds)[1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        b"\x01abc",
        b"\x01" + bytes(33 * 257),
        b"\x02\x01\x00" + bytes(33 + 5),  # half a bucket
        b"\x02\x02\x00" + bytes(33),  # less series than it says
        b"\x02\x01\x00" + bytes(33 + 10 * 31),  # more buckets than there are bounds
        b"\x03" + bytes(33),
    ],
)
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
