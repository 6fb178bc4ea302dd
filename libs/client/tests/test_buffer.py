"""The buffer adds up exactly, keeps within its bound, drops the oldest and counts every drop."""

from collections import Counter, defaultdict
from threading import Thread

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from vigie_client.buffer import WINDOW_MS, Buffer
from vigie_client.tally import Dropped, Tally
from vigie_client.values import MetricType

T0 = 1_700_000_000_000


class Now:
    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> int:
        return self.ms


def everything(buffer: Buffer) -> list[tuple[str, float, int]]:
    found = []
    while taken := buffer.take(1000, 1 << 30):
        found += [(sample.series.head, sample.value, sample.timestamp) for sample in taken]
        buffer.settle()
    return found


recordings = st.lists(
    st.tuples(
        st.sampled_from([MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM]),
        st.sampled_from(["a", "b"]),
        st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["1", "2"]), max_size=2),
        st.integers(0, 1000),
        st.integers(0, 4000),
    ),
    max_size=200,
)


@given(recordings)
def test_sums_lasts_and_observations_are_exact_in_every_window(made) -> None:
    now, tally = Now(), Tally()
    buffer = Buffer(1_000_000, tally, now_ms=now)
    sums: Counter[object] = Counter()
    last: dict[object, float] = {}
    seen: defaultdict[object, list[float]] = defaultdict(list)
    for kind, name, labels, value, later in made:
        now.ms += later
        buffer.add(kind, name, dict(labels), value)
        key = (kind.value, name, tuple(sorted(labels.items())), now.ms // WINDOW_MS)
        if kind is MetricType.COUNTER:
            sums[key] += value
        elif kind is MetricType.GAUGE:
            last[key] = value
        else:
            seen[key].append(value)
    found_sums: Counter[object] = Counter()
    found_last: dict[object, float] = {}
    found_seen: defaultdict[object, list[float]] = defaultdict(list)
    while taken := buffer.take(7, 1 << 30):
        for sample in taken:
            kind, name, labels = identity(sample.series.head)
            key = (kind, name, labels, sample.timestamp // WINDOW_MS)
            if kind == "counter":
                assert key not in found_sums, "increments of one window are one sample"
                found_sums[key] = sample.value
            elif kind == "gauge":
                assert key not in found_last
                found_last[key] = sample.value
            else:
                found_seen[key].append(sample.value)
        buffer.settle()
    assert (dict(found_sums), found_last, found_seen) == (dict(sums), last, seen)


def identity(head: str):
    import json

    item = json.loads(head + "}")
    return item["type"], item["name"], tuple(sorted(item["labels"].items()))


class Bounded(RuleBasedStateMachine):
    """Against a plain list: whatever is added, taken, settled or put back, what is there and what is gone add up."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        self.limit = 10
        self.buffer = Buffer(self.limit, self.tally, now_ms=Now())
        self.waiting: list[int] = []
        self.taken: list[int] = []
        self.settled = 0
        self.added = 0

    @rule()
    def add(self) -> None:
        self.added += 1
        self.buffer.add(MetricType.HISTOGRAM, "h", {}, self.added)
        if len(self.waiting) + len(self.taken) == self.limit:
            self.waiting.pop(0)
        self.waiting.append(self.added)

    @precondition(lambda self: not self.taken)
    @rule(most=st.integers(1, 20))
    def take(self, most: int) -> None:
        count = min(most, self.limit // 2)
        self.taken, self.waiting = self.waiting[:count], self.waiting[count:]
        assert [sample.value for sample in self.buffer.take(most, 1 << 30)] == self.taken

    @rule()
    def settle(self) -> None:
        self.buffer.settle()
        self.settled += len(self.taken)
        self.taken = []

    @rule()
    def put_back(self) -> None:
        self.buffer.put_back()
        self.waiting, self.taken = self.taken + self.waiting, []

    @invariant()
    def nothing_is_lost_without_being_counted(self) -> None:
        assert len(self.buffer) == len(self.waiting) + len(self.taken) <= self.limit
        dropped = self.tally.stats(0).dropped.get(Dropped.BUFFER_FULL, 0)
        assert self.added == self.settled + dropped + len(self.buffer)

    @invariant()
    def marks_tell_what_is_left(self) -> None:
        left = self.taken + self.waiting
        assert self.buffer.reached(self.added) == (not left)
        if left:
            assert self.buffer.reached(min(left) - 1)
            assert not self.buffer.reached(min(left))


TestBounded = Bounded.TestCase
TestBounded.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_increment_after_its_sample_was_taken_or_dropped_is_a_new_sample() -> None:
    buffer = Buffer(4, Tally(), now_ms=Now())
    buffer.add(MetricType.COUNTER, "c", {}, 5)
    assert [s.value for s in buffer.take(10, 1 << 30)] == [5]
    buffer.add(MetricType.COUNTER, "c", {}, 3)
    buffer.settle()
    assert [value for _, value, _ in everything(buffer)] == [3]
    buffer.add(MetricType.COUNTER, "c", {}, 1)
    for i in range(4):  # pushes the counter out
        buffer.add(MetricType.HISTOGRAM, "h", {}, i)
    buffer.add(MetricType.COUNTER, "c", {}, 9)
    assert [value for _, value, _ in everything(buffer)] == [1, 2, 3, 9]


def test_sum_that_would_be_infinite_becomes_two_samples() -> None:
    buffer = Buffer(10, Tally(), now_ms=Now())
    buffer.add(MetricType.COUNTER, "c", {}, 1.5e308)
    buffer.add(MetricType.COUNTER, "c", {}, 1.5e308)
    assert [value for _, value, _ in everything(buffer)] == [1.5e308, 1.5e308]


def test_request_is_bounded_in_bytes_but_never_empty() -> None:
    buffer = Buffer(100, Tally(), now_ms=Now())
    for i in range(10):
        buffer.add(MetricType.HISTOGRAM, "n" * 1000, {}, i)
    assert len(buffer.take(100, 3000)) == 2
    buffer.settle()
    assert len(buffer.take(100, 10)) == 1


def test_recording_inside_a_recording_is_kept_and_does_not_hang() -> None:
    """As a signal handler, a finalizer or a log handler does it, in the middle of a call of the same thread."""

    def interrupted() -> None:
        if inner:
            buffer.add(*inner.pop())

    inner = [(MetricType.COUNTER, "c", {}, 1)]
    buffer = Buffer(10, Tally(), now_ms=Now(), notify=interrupted)
    buffer.add(MetricType.COUNTER, "c", {}, 2)
    assert [value for _, value, _ in everything(buffer)] == [3]


def test_threads_lose_nothing() -> None:
    buffer, found = Buffer(1_000_000, Tally()), Counter[str]()
    writers = [Thread(target=lambda: [buffer.add(MetricType.COUNTER, "c", {"n": "1"}, 1) for _ in range(20_000)])]
    writers += [Thread(target=lambda: [buffer.add(MetricType.COUNTER, "c", {"n": "1"}, 1) for _ in range(20_000)])]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers) or len(buffer):
        for sample in buffer.take(10, 1 << 30):
            found["c"] += int(sample.value)
        buffer.settle()
    assert found["c"] == 40_000


def test_cache_of_series_is_bounded_and_sums_stay_exact(monkeypatch) -> None:
    monkeypatch.setattr("vigie_client.buffer._MAX_SERIES", 3)
    buffer = Buffer(1000, Tally(), now_ms=Now())
    for i in range(40):
        buffer.add(MetricType.COUNTER, "c", {"n": str(i % 8)}, 1)
    sums: Counter[str] = Counter()
    for head, value, _ in everything(buffer):
        sums[head] += int(value)
    assert set(sums.values()) == {5}
    assert len(sums) == 8
