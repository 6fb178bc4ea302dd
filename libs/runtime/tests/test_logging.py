"""Lines of libraries: tamed, and never a flood."""

import logging
import subprocess
import sys

import pytest
from vigie_runtime.logging import FloodFilter, _tame


def line(template: str = "Unable connect to node %s", *args: object, name: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, template, args or (1,), None)


def test_a_flood_of_one_message_is_cut_and_counted() -> None:
    now = 0.0
    flood = FloodFilter(most=3, period_s=10.0, now=lambda: now)
    assert [flood.filter(line()) for _ in range(20)] == [True] * 3 + [False] * 17
    now = 10.0
    after = line()
    assert flood.filter(after)
    assert after.getMessage() == "Unable connect to node 1 (and 17 more like it)"
    assert [flood.filter(line()) for _ in range(3)] == [True, True, False]


def test_other_messages_and_our_own_lines_are_not_held_back() -> None:
    flood = FloodFilter(most=1, now=lambda: 0.0)
    assert flood.filter(line())
    assert flood.filter(line("another message about %s"))
    assert all(flood.filter(line(name="vigie_runtime.bus.log_reader")) for _ in range(10))


def test_what_clients_say_themselves_is_not_repeated_at_every_connection() -> None:
    assert not _tame(line("Sending username and password in the clear"))
    assert _tame(line())


FAILS = """
import sys
from vigie_runtime import logging

def log_in(password):
    raise ValueError("a bug")

logging.configure("test", format=sys.argv[1])
try:
    log_in("hunter2".upper())
except ValueError as e:
    logging.get("test").error("failed", exc_info=e)
"""


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_does_not_show_what_variables_hold(format_: str) -> None:
    done = subprocess.run([sys.executable, "-c", FAILS, format_], capture_output=True, text=True, check=True)
    assert "a bug" in done.stdout
    assert "log_in" in done.stdout
    assert "HUNTER2" not in done.stdout
