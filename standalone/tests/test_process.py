"""One child process: readiness, bounded stop, death with its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import ProcessError, StoppingError

from tests.kit import eventually_sync


def python(tmp_path: Path, code: str, ready: str = "ready") -> Process:
    marker = tmp_path / ready
    body = textwrap.dedent(code).replace("READY", f"open({str(marker)!r}, 'w').close()")
    return Process("child", [sys.executable, "-c", body], log_path=tmp_path / "child.log", ready=marker.exists)


def test_start_returns_when_ready_and_stop_is_clean(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; READY; time.sleep(60)")
    child.start()
    assert child.alive
    child.stop()
    assert child.returncode == -signal.SIGTERM


def test_process_that_ends_at_start_is_reported_with_its_log(tmp_path: Path) -> None:
    child = python(tmp_path, "import sys; print('port is taken'); sys.exit(3)")
    with pytest.raises(ProcessError, match=r"(?s)ended with code 3 at start.*port is taken"):
        child.start()


def test_process_that_never_gets_ready_is_killed_after_the_deadline(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ProcessError, match="was not ready within 1 s"):
        child.start(timeout=1)
    assert not child.alive


def test_process_that_ignores_sigterm_is_killed_within_the_bound(tmp_path: Path) -> None:
    child = python(tmp_path, "import signal, time; signal.signal(15, signal.SIG_IGN); READY; time.sleep(60)")
    child.start()
    begin = time.monotonic()
    child.stop(grace=0.5)
    assert child.returncode == -signal.SIGKILL
    assert time.monotonic() - begin < 10


def test_paused_process_is_alive_and_can_be_stopped(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; READY; time.sleep(60)")
    child.start()
    child.pause()
    eventually_sync(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, 10)
    assert child.alive
    child.stop()
    assert not child.alive


def test_restart_runs_the_same_command_again(tmp_path: Path) -> None:
    child = python(tmp_path, "import os, time; print(os.getpid(), flush=True); READY; time.sleep(60)")
    child.start()
    first = child.pid
    child.kill()
    child.restart()
    assert child.alive
    assert child.pid != first
    child.kill()


@pytest.mark.parametrize("error", [BrokenPipeError(), UnicodeEncodeError("ascii", "é", 0, 1, "no"), SystemExit(1)])
def test_child_outlives_a_reader_of_its_lines_that_fails(tmp_path: Path, error: BaseException) -> None:
    def on_line(_line: str) -> None:
        raise error

    code = "import time\nfor i in range(2000): print(i, flush=True)\ntime.sleep(60)"
    child = Process("child", [sys.executable, "-c", code], log_path=tmp_path / "log", ready=bool, on_line=on_line)
    child.launch()
    eventually_sync(lambda: child.log_tail(1) == "1999", 20)
    assert child.alive
    child.kill()


def test_nothing_is_launched_once_everything_stops(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    child = Process("child", ["true"], log_path=tmp_path / "log", ready=bool, stopping=stopping)
    with pytest.raises(StoppingError, match="child was not started"):
        child.launch()
    assert not child.alive


def test_process_launched_in_the_moment_everything_stops_is_killed_again(tmp_path: Path) -> None:
    class SetOnSecondLook(threading.Event):
        looked = 0

        def is_set(self) -> bool:
            self.looked += 1
            return self.looked > 1

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = Process("child", command, log_path=tmp_path / "log", ready=bool, stopping=SetOnSecondLook())
    with pytest.raises(StoppingError):
        child.launch()
    assert child.returncode == -signal.SIGKILL


def test_child_started_from_a_finished_thread_lives_on(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    child = python(tmp_path, "import time; READY; time.sleep(60)")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(child.start).result()
    with pytest.raises(psutil.TimeoutExpired):  # the parent-death signal is bound to the thread that forked
        psutil.Process(child.pid).wait(0.5)
    child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        import sys, time
        from vigie_standalone.embedded.process import Process
        ready = Path({str(tmp_path / "inner-ready")!r})
        body = f"import time; open({{str(ready)!r}}, 'w').close(); time.sleep(60)"
        log = Path({str(tmp_path / "inner.log")!r})
        inner = Process("inner", [sys.executable, "-c", body], log_path=log, ready=ready.exists)
        inner.start()
        print(inner.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        inner = int(parent.stdout.readline())
        assert psutil.pid_exists(inner)
        os.kill(parent.pid, signal.SIGKILL)
    eventually_sync(lambda: not psutil.pid_exists(inner) or _is_zombie(inner), 10)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
