"""Reports that wait: whatever happens around them, each is given out until it is removed, oldest first, or counted."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from vigie_agent import spool as spool_module
from vigie_agent.spool import Lost, Spool
from vigie_contracts.hosts import MAX_REPORT_BYTES

BIG = 64 * 1024 * 1024
T0 = 1_800_000_000_000


def body(number: int) -> bytes:
    return b'{"timestamp": %d}' % number


def timestamps(spool: Spool) -> list[int]:
    return [one.timestamp for one in spool.take(10_000, BIG)]


def test_reports_wait_over_a_restart_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", BIG)
    for number in (3, 1, 2):
        spool.put(T0 + number, body(number))
    again = Spool(tmp_path / "spool", BIG)
    assert [one.body for one in again.take(10, BIG)] == [body(1), body(2), body(3)]
    assert [one.body for one in again.take(2, BIG)] == [body(1), body(2)]
    again.remove([T0 + 1, T0 + 3])
    assert timestamps(Spool(tmp_path / "spool", BIG)) == [T0 + 2]


def test_a_request_has_a_bound_and_at_least_one_report(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    for number in range(3):
        spool.put(T0 + number, b"{" + b" " * 100 + b"}")
    assert len(spool.take(10, 1)) == 1
    assert len(spool.take(10, 204)) == 2


def test_of_too_many_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    for number in range(50):
        spool.put(T0 + number, b'{"x":"' + os.urandom(400).hex().encode() + b'"}')
    kept = timestamps(spool)
    assert kept == list(range(T0 + 50 - len(kept), T0 + 50))
    assert spool.bytes <= 10_000
    assert spool.lost == {Lost.FULL: 50 - len(kept)}
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == spool.bytes


@pytest.mark.parametrize("damage", ["short", "empty", "bits", "gone", "bomb"])
def test_a_damaged_report_is_counted_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    spool = Spool(tmp_path, BIG)
    for number in range(3):
        spool.put(T0 + number, body(number))
    file = tmp_path / f"{T0 + 1}.z"
    whole = file.read_bytes()
    bomb = spool_module.zlib.compress(b"{" + b" " * (MAX_REPORT_BYTES + 1) + b"}")
    damaged = {"short": whole[:-5], "empty": b"", "bits": whole[:8] + b"\xff\xff" + whole[10:], "bomb": bomb}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    assert timestamps(spool) == [T0, T0 + 2]
    assert spool.lost == {Lost.DAMAGED: 1}
    assert len(spool) == 2


def test_a_full_disk_lets_reports_wait_in_memory_and_move_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, BIG)
    spool.put(T0, body(0))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(spool_module.os, "replace", full)
        spool.put(T0 + 1, body(1))
        spool.put(T0 + 2, body(2))
    assert spool.problem == os.strerror(errno.ENOSPC)
    assert timestamps(spool) == [T0, T0 + 1, T0 + 2]
    assert len(list(tmp_path.iterdir())) == 1
    spool.put(T0 + 3, body(3))
    assert spool.problem is None
    assert timestamps(Spool(tmp_path, BIG)) == [T0, T0 + 1, T0 + 2, T0 + 3]


def test_memory_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MEMORY_BYTES", 2_000)
    (tmp_path / "file").write_bytes(b"")
    spool = Spool(tmp_path / "file", BIG)  # no directory can be there
    for number in range(20):
        spool.put(T0 + number, b'{"x":"' + os.urandom(200).hex().encode() + b'"}')
    kept = timestamps(spool)
    assert kept == list(range(T0 + 20 - len(kept), T0 + 20))
    assert 0 < len(kept) < 20
    assert spool.lost == {Lost.FULL: 20 - len(kept)}


def test_what_is_not_the_spools_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("mine")
    (tmp_path / "1800000000000.partial").write_text("half")
    spool = Spool(tmp_path, BIG)
    assert len(spool) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["readme"]


class SpoolMachine(RuleBasedStateMachine):
    """Against a dict: put, take and remove in any order, restarts, a disk that refuses, files that are damaged."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.model: dict[int, bytes] = {}
        self.on_disk: set[int] = set()
        self.damaged = 0
        self.lost_before = 0
        self.spool = Spool(Path(self.directory.name), BIG)

    def teardown(self) -> None:
        self.directory.cleanup()

    @rule(number=st.integers(0, 30), text=st.text("abc", max_size=8))
    def put(self, number: int, text: str) -> None:
        value = b'{"t":"%s"}' % text.encode()
        self.spool.put(T0 + number, value)
        self.model[T0 + number] = value
        self.on_disk = set(self.model)  # a disk that works takes all that waited in memory

    @rule(number=st.integers(0, 30))
    def put_on_a_full_disk(self, number: int) -> None:
        real = os.replace

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "full")

        spool_module.os.replace = full  # type: ignore[assignment]
        try:
            self.spool.put(T0 + number, b"{}")
        finally:
            spool_module.os.replace = real
        self.model[T0 + number] = b"{}"
        self.on_disk.discard(T0 + number)

    @rule(most=st.integers(1, 5))
    def send(self, most: int) -> None:
        taken = self.spool.take(most, BIG)
        assert [(one.timestamp, one.body) for one in taken] == sorted(self.model.items())[:most]
        self.spool.remove([one.timestamp for one in taken])
        for one in taken:
            del self.model[one.timestamp]
            self.on_disk.discard(one.timestamp)

    @rule()
    def restart(self) -> None:
        """What is in memory only is lost with the process."""
        self.lost_before += self.spool.lost[Lost.DAMAGED]
        self.spool = Spool(Path(self.directory.name), BIG)
        self.model = {key: value for key, value in self.model.items() if key in self.on_disk}

    @precondition(lambda self: self.on_disk)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(sorted(self.on_disk)))
        (Path(self.directory.name) / f"{victim}.z").write_bytes(b"\x00\x01")
        self.spool.take(10_000, BIG)
        del self.model[victim]
        self.on_disk.discard(victim)
        self.damaged += 1

    @invariant()
    def nothing_is_lost_and_all_is_counted(self) -> None:
        assert len(self.spool) == len(self.model)
        assert self.lost_before + self.spool.lost[Lost.DAMAGED] == self.damaged
        assert self.spool.lost[Lost.FULL] == 0


SpoolMachine.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
test_any_order_of_events_loses_nothing = SpoolMachine.TestCase
