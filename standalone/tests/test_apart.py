"""Work in a process of its own, and that the supervisor needs it: it loads no client of a server for itself."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from vigie_standalone.embedded.apart import ApartError, apart
from vigie_standalone.errors import ProcessError, StoppingError

WORK = """
import sys, time
from vigie_standalone.embedded.apart import answer
from vigie_standalone.errors import StandaloneError

def work(question):
    print("a log line is no answer")
    if question == {"refuse": "so"}:
        raise StandaloneError("It is refused.")
    if "sleep" in question:
        time.sleep(60)
    return question["number"] + 1

answer(work)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apart_work.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def ask(stopping: threading.Event | None = None, timeout: float = 60.0, **question: object) -> object:
    return apart("apart_work", question, timeout=timeout, stopping=stopping or threading.Event())


def test_answer_comes_back_and_what_is_logged_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(number=1) == 2
    assert capsys.readouterr().err == "a log line is no answer\n"


def test_refusal_is_its_sentence() -> None:
    with pytest.raises(ApartError, match=r"^It is refused\.$"):
        ask(refuse="so")


def test_bug_there_is_shown_with_its_traceback() -> None:
    with pytest.raises(ProcessError, match="KeyError: 'number'"):
        ask(other=1)


def test_work_that_takes_too_long_or_is_not_wanted_any_more_is_ended() -> None:
    with pytest.raises(ProcessError, match="took too long"):
        ask(sleep=True, timeout=0.1)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(StoppingError):
        ask(stopping, sleep=True)


def test_supervisor_loads_no_client_of_a_server() -> None:
    """What it imports it holds for as long as Vigie runs. pydantic comes with typer."""
    clients = (
        "pymongo",
        "redis",
        "aiokafka",
        "confluent_kafka",
        "numpy",
        "fastapi",
        "cryptography",
        "opentelemetry",
    )
    code = f"import sys, vigie_standalone.cli, vigie_standalone.up; print(*sorted(set({clients}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == []
