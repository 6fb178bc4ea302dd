"""`make test` runs everything, two lanes at once, and fails when one step of one lane does."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.kit import eventually_sync
from tests.project.repo import ROOT, text
from tools import suite
from tools.suite import Runner, Step

STEPS = [step for lanes in (suite.TOGETHER, suite.ALONE) for steps in lanes.values() for step in steps]


def python(name: str, code: str) -> Step:
    return Step(name, (sys.executable, "-c", code))


def test_every_directory_of_tests_is_in_exactly_one_step() -> None:
    asked = [argument for step in STEPS if "pytest" in step.command for argument in step.command[3:]]
    ignored = [argument.removeprefix("--ignore=") for argument in asked if argument.startswith("--ignore=")]
    named = [argument for argument in asked if not argument.startswith("-")]
    paths = tomllib.loads(text("pyproject.toml"))["tool"]["pytest"]["ini_options"]["testpaths"]
    assert sorted(named) == sorted([*paths, *ignored])
    assert all((ROOT / path).is_dir() for path in named)
    assert {"lint", "types"} <= {step.name for step in STEPS}


def test_lanes_keep_their_caches_apart() -> None:
    caches = [
        [argument for argument in step.command if "cache_dir=" in argument]
        for step in STEPS
        if "pytest" in step.command
    ]
    assert all(len(cache) == 1 for cache in caches)
    assert len({cache[0] for cache in caches}) == len(caches)


def test_lanes_run_at_once(tmp_path: Path) -> None:
    meet = """
import pathlib, time
pathlib.Path({mine!r}).touch()
while not pathlib.Path({other!r}).exists():
    time.sleep(0.01)
"""
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    lanes = {
        "one": [python("first", meet.format(mine=one, other=two))],
        "two": [python("second", meet.format(mine=two, other=one))],
    }
    assert Runner([].append).run(lanes) == []


def test_step_that_fails_is_named_and_the_others_run_all_the_same() -> None:
    said: list[str] = []
    lanes = {
        "a": [python("broken", "print('no'); raise SystemExit(3)"), python("fine", "print('yes')")],
        "b": [python("wrong", "raise SystemExit(1)")],
    }
    assert sorted(Runner(said.append).run(lanes)) == ["broken", "wrong"]
    of_a = [line for line in said if line.startswith("       a | ")]
    assert [line.partition("| ")[2].partition(" after")[0] for line in of_a] == [
        "no", "== broken: FAILED with 3", "yes", "== fine: passed",
    ]  # fmt: skip


def test_tests_that_failed_are_named_once_more(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_fine(): pass\ndef test_wrong(): assert 1 == 2\n")
    runner = Runner([].append)
    command = (sys.executable, "-m", "pytest", "-ra", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path))
    assert runner.run({"a": [Step("tests", command)]}) == ["tests"]
    [told] = runner.failures
    assert "test_it.py::test_wrong - assert 1 == 2" in told


def test_ctrl_c_interrupts_what_runs_and_begins_nothing_more(tmp_path: Path) -> None:
    script = f"""
import sys
from tools import suite
wait = "import time, pathlib; pathlib.Path({str(tmp_path / "begun")!r}).touch(); time.sleep(60)"
step = lambda name, code: suite.Step(name, (sys.executable, "-c", code))
suite.TOGETHER = {{"x": [step("waits", wait), step("later", "print('begun all the same')")]}}
suite.ALONE = {{"y": [step("last", "print('begun all the same')")]}}
sys.exit(suite.main())
"""
    running = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    eventually_sync((tmp_path / "begun").exists)
    os.kill(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 1
    assert "KeyboardInterrupt" in said
    assert "make test: FAILED in waits, later, last" in said
    assert "begun all the same" not in said
