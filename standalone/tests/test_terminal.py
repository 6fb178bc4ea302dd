"""How log lines of services look on a terminal."""

import io
import json
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console
from vigie_standalone.terminal import Terminal


def shown(*lines: str) -> str:
    out = io.StringIO()
    terminal = Terminal(console=Console(file=out, width=200, highlight=False, soft_wrap=True))
    for line in lines:
        terminal.line("front", line)
    return out.getvalue()


def test_json_line_becomes_clock_message_and_fields() -> None:
    entry = {
        "timestamp": "2026-11-21T10:11:12.345Z", "level": "info", "message": "batch taken", "service": "ingest",
        "logger": "x", "trace_id": "abc", "items": 3, "tenant": "default",
    }  # fmt: skip
    assert shown(json.dumps(entry)) == "front      | 10:11:12 batch taken items=3 tenant=default\n"


def test_exception_is_shown_below_its_message() -> None:
    text = shown(json.dumps({"level": "error", "message": "failed", "exception": "Traceback:\n  boom"}))
    assert "failed\nTraceback:\n  boom" in text


@pytest.mark.parametrize("line", ["plain words", "{not json", "[1, 2]", '"text"', "[bold]not markup[/bold]"])
def test_other_output_is_shown_as_it_is(line: str) -> None:
    assert shown(line) == f"front      | {line}\n"


def test_json_logs_pass_through_and_plain_lines_are_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(json_logs=True)
    terminal.line("front", '{"message": "a", "n": 1}')
    terminal.line("front", "plain")
    terminal.say("starting")
    terminal.banner("not shown")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '{"message": "a", "n": 1}'
    assert [json.loads(line)["message"] for line in lines] == ["a", "plain", "starting"]
    assert json.loads(lines[1])["service"] == "front"


@pytest.mark.parametrize("forced", [True, False])
def test_only_what_goes_to_a_terminal_is_kept_by_nobody(forced: bool) -> None:  # FORCE_COLOR makes no terminal
    screen, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(screen):
        assert not Terminal(console=Console(file=terminal, force_terminal=forced)).kept
        assert Terminal(json_logs=True, console=Console(file=terminal, force_terminal=forced)).kept
    assert Terminal(console=Console(file=io.StringIO(), force_terminal=forced)).kept


@pytest.mark.parametrize("json_logs", [True, False])
def test_output_whose_reader_has_gone_vanishes_and_the_program_goes_on(json_logs: bool) -> None:
    code = f"""
import sys
from vigie_standalone.terminal import Terminal
terminal = Terminal(json_logs={json_logs})
sys.stdin.readline()
for _ in range(3):
    terminal.say("is anybody there?")
    terminal.line("front", "nobody")
sys.stderr.write("goes on")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        program.stdout.close()
        program.stdout = None
        _, said = program.communicate("\n", timeout=60)
    assert (program.returncode, said) == (0, "goes on")
