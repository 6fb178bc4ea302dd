"""The journal of commands: what is in it is begun once, whatever happens to process and file."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from vigie_agent import journal as journal_module
from vigie_agent.journal import INTERRUPTED, Journal
from vigie_contracts.commands import CommandResult, Outcome

DONE = CommandResult(Outcome.DONE)


def id_of(number: int) -> str:
    return f"{number:032x}"


def test_a_command_is_begun_once_also_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state" / "commands.journal"
    journal = Journal(file)
    assert journal.begin(id_of(1))
    assert not journal.begin(id_of(1))
    journal.end(id_of(1), DONE)
    assert journal.begin(id_of(2))
    again = Journal(file)
    assert not again.begin(id_of(1))
    assert not again.begin(id_of(2))
    assert again.result(id_of(1)) == DONE
    assert again.result(id_of(2)) == CommandResult(Outcome.UNKNOWN, INTERRUPTED)
    assert [one for one, _ in again.untold()] == [id_of(1), id_of(2)]
    again.told(id_of(1))
    assert [one for one, _ in Journal(file).untold()] == [id_of(2)]


def test_a_line_that_was_cut_off_is_left_out_and_harms_no_other(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    Journal(file).begin(id_of(1))
    with file.open("ab") as out:
        out.write(b'{"id":"0000')
    journal = Journal(file)
    assert journal.begin(id_of(2))
    with file.open("ab") as out:
        out.write(b'\xff{"id"')
    journal.begin(id_of(3))
    again = Journal(file)
    assert [again.begin(id_of(n)) for n in (1, 2, 3, 4)] == [False, False, False, True]


def test_nothing_is_begun_that_cannot_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        journal.begin(id_of(1))
    assert journal.result(id_of(1)) is None


def test_it_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_KNOWN", 5)
    journal = Journal(tmp_path / "journal")
    for number in range(60):
        journal.begin(id_of(number))
        journal.end(id_of(number), DONE)
        journal.told(id_of(number))
    assert (tmp_path / "journal").stat().st_size < 5_000
    again = Journal(tmp_path / "journal")
    assert not again.begin(id_of(59))
    assert not again.begin(id_of(56))


class JournalMachine(RuleBasedStateMachine):
    """Begin, end and tell in any order, with restarts and with files that end anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.file = Path(self.directory.name) / "journal"
        self.journal = Journal(self.file)
        self.begun: set[str] = set()
        self.ended: dict[str, CommandResult] = {}

    def teardown(self) -> None:
        self.directory.cleanup()

    @rule(number=st.integers(0, 8))
    def begin(self, number: int) -> None:
        assert self.journal.begin(id_of(number)) is (id_of(number) not in self.begun), "never twice"
        self.begun.add(id_of(number))

    @rule(number=st.integers(0, 8), outcome=st.sampled_from(Outcome))
    def end(self, number: int, outcome: Outcome) -> None:
        one = id_of(number)
        if one in self.begun and one not in self.ended:
            self.ended[one] = CommandResult(outcome, "x")
            self.journal.end(one, self.ended[one])

    @rule(number=st.integers(0, 8))
    def tell(self, number: int) -> None:
        self.journal.told(id_of(number))

    @rule(rest=st.binary(max_size=20))
    def restart(self, rest: bytes) -> None:
        with self.file.open("ab") as out:
            out.write(rest.replace(b"\n", b""))
        self.journal = Journal(self.file)
        interrupted = CommandResult(Outcome.UNKNOWN, INTERRUPTED)
        self.ended |= {one: interrupted for one in self.begun if one not in self.ended}

    @invariant()
    def results_are_those_that_were_noted(self) -> None:
        assert {one: self.journal.result(one) for one in self.begun} == {one: self.ended.get(one) for one in self.begun}


JournalMachine.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=25, deadline=None)
test_any_order_of_events_begins_nothing_twice: Any = JournalMachine.TestCase
