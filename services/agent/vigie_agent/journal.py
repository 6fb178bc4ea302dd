"""What the agent was told to do, noted on the disk before it is done: so nothing is done twice, whatever is killed.

A file of JSON lines: `begun` before systemd is asked, `ended` with what came of it, `told` when Vigie has that. A
command that was begun and not ended when the agent starts is `unknown` for ever: it may have been done.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import msgspec
from vigie_contracts.commands import CommandId, CommandResult, Outcome

log = logging.getLogger("vigie_agent")

MAX_KNOWN: Final = 2_000
"""Commands that are remembered: those of many weeks, while a command is good for two minutes."""
INTERRUPTED: Final = "the agent ended while it was done, and does not do it again"
_MAX_BYTES: Final = 8 * 1024 * 1024


class Line(msgspec.Struct, omit_defaults=True):
    """One line."""

    id: CommandId
    event: Literal["begun", "ended", "told"]
    result: CommandResult | None = None


class Noted:
    """What is known of a command."""

    __slots__ = ("result", "told")

    def __init__(self) -> None:
        self.result: CommandResult | None = None
        self.told = False


class Journal:
    """For one process, from any thread. All that writes raises OSError, and has then noted nothing."""

    def __init__(self, file: Path) -> None:
        """Reads what is there, and ends what was interrupted. Raises OSError."""
        self._file = file
        self._known: OrderedDict[str, Noted] = OrderedDict()
        self._lock = Lock()
        self._read()
        for noted in self._known.values():
            if noted.result is None:
                noted.result = CommandResult(Outcome.UNKNOWN, INTERRUPTED)
        self._rewrite()
        self._lines = len(self._known)

    def begin(self, id_: str) -> bool:
        """Note that it is begun, on the disk; False when it was before: it must not be done."""
        with self._lock:
            if id_ in self._known:
                return False
            if self._lines >= 4 * MAX_KNOWN:
                self._rewrite()
            self._append(Line(id_, "begun"))
            self._known[id_] = Noted()
            return True

    def end(self, id_: str, result: CommandResult) -> None:
        """Note what came of it. It is known from here on even if the disk does not take it."""
        with self._lock:
            self._known[id_].result = result
            self._append(Line(id_, "ended", result))

    def told(self, id_: str) -> None:
        """Vigie has the result."""
        with self._lock:
            noted = self._known.get(id_)
            if noted is not None and not noted.told:
                noted.told = True
                self._append(Line(id_, "told"))

    def knows(self, id_: str) -> bool:
        """Whether it was begun."""
        return id_ in self._known

    def result(self, id_: str) -> CommandResult | None:
        """What came of it; None while it is done, and of what was never begun."""
        noted = self._known.get(id_)
        return None if noted is None else noted.result

    def untold(self) -> list[tuple[str, CommandResult]]:
        """Results that Vigie may not have."""
        with self._lock:
            known = list(self._known.items())
        return [(id_, noted.result) for id_, noted in known if noted.result is not None and not noted.told]

    def _read(self) -> None:
        try:
            with self._file.open("rb") as file:
                text = file.read(_MAX_BYTES)
        except FileNotFoundError:
            return
        for raw in filter(None, text.splitlines()):
            try:
                line = msgspec.json.decode(raw, type=Line)
            except msgspec.MsgspecError:  # cut off by a power failure: then it was not begun either
                log.warning("a line of the journal of commands cannot be read, and is left out")
                continue
            noted = self._known.setdefault(line.id, Noted())
            noted.result = line.result or noted.result
            noted.told = noted.told or line.event == "told"

    def _rewrite(self) -> None:
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        with partial.open("wb") as file:
            for id_, noted in self._known.items():
                event = "told" if noted.told else "begun" if noted.result is None else "ended"
                file.write(msgspec.json.encode(Line(id_, event, noted.result)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self._file)
        _sync_directory(self._file.parent)
        self._lines = len(self._known)

    def _append(self, line: Line) -> None:
        with self._file.open("ab") as file:
            # The line break first: a line that was cut off must not swallow this one.
            file.write(b"\n" + msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines += 1


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
