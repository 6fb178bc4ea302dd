"""The end of a process, in processes of their own: nothing is lost at an exit, on SIGTERM or across a fork."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from tests.kit import eventually_sync

HEAD = """
import os, signal, sys, time
from vigie_client import Client
client = Client(sys.argv[1], interval=60, exit_timeout=5)
"""
Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(server):
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HEAD + textwrap.dedent(body), server.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_normal_exit_sends_what_is_left(server, run: Run) -> None:
    process = run("client.start()\nclient.counter('c', 3)")
    assert ended(process) == (0, "")
    assert server.sums()["c",] == 3


def test_unhandled_exception_and_sys_exit_send_what_is_left(server, run: Run) -> None:
    assert ended(run("client.start()\nclient.counter('c', 3)\nsys.exit(7)"))[0] == 7
    assert ended(run("client.start()\nclient.counter('c', 3)\n1 / 0"))[0] == 1
    assert server.sums()["c",] == 6


def test_sigterm_sends_what_is_left_and_ends_the_process_by_sigterm(server, run: Run) -> None:
    process = run("client.start()\nclient.counter('c', 3)\nprint('ready', flush=True)\ntime.sleep(60)")
    ready(process)
    process.terminate()
    assert ended(process) == (-signal.SIGTERM, "")
    assert server.sums()["c",] == 3


def test_sigterm_in_the_middle_of_recording_neither_hangs_nor_loses(server, run: Run) -> None:
    process = run("""
        client.start()
        print('ready', flush=True)
        while True:
            client.counter('c')
    """)
    ready(process)
    process.terminate()
    assert ended(process)[0] == -signal.SIGTERM
    assert server.sums()["c",] > 0


def test_several_clients_are_all_sent_before_the_process_ends(server, run: Run) -> None:
    process = run("""
        others = [Client(sys.argv[1], interval=60) for _ in range(3)]
        for one in (client, *others):
            one.start()
            one.counter('c')
        others[0].stop()
        print('ready', flush=True)
        time.sleep(60)
    """)
    ready(process)
    process.terminate()
    assert ended(process)[0] == -signal.SIGTERM
    assert server.sums()["c",] == 4


def test_second_sigterm_ends_the_process_at_once(server, run: Run) -> None:
    server.default = (503, {"retry-after": "30"}, {})
    process = run("client.start()\nclient.counter('c', 3)\nprint('ready', flush=True)\ntime.sleep(60)")
    ready(process)
    process.terminate()
    eventually_sync(lambda: len(server.received) > 0)
    process.terminate()
    assert ended(process)[0] == -signal.SIGTERM


def test_handler_of_the_application_stays_and_its_exit_sends(server, run: Run) -> None:
    process = run("""
        def mine(*_):
            client.counter('c', 1)
            sys.exit(42)
        signal.signal(signal.SIGTERM, mine)
        client.start()
        assert signal.getsignal(signal.SIGTERM) is mine
        client.counter('c', 3)
        print('ready', flush=True)
        time.sleep(60)
    """)
    ready(process)
    process.terminate()
    assert ended(process) == (42, "")
    assert server.sums()["c",] == 4


def test_handler_that_the_application_sets_later_wins(server, run: Run) -> None:
    process = run("""
        client.start()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
        client.counter('c', 3)
        print('ready', flush=True)
        time.sleep(60)
    """)
    ready(process)
    process.terminate()
    assert ended(process) == (42, "")
    assert server.sums()["c",] == 3


def test_handler_of_an_event_loop_works_as_before(server, run: Run) -> None:
    process = run("""
        import asyncio
        async def main():
            client.start()
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            client.counter('c', 3)
            print('ready', flush=True)
            await stop.wait()
        asyncio.run(main())
    """)
    ready(process)
    process.terminate()
    assert ended(process) == (0, "")
    assert server.sums()["c",] == 3


def test_sigterm_is_left_alone_when_asked_to(run: Run) -> None:
    process = run("""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        plain = Client(sys.argv[1], handle_sigterm=False)
        plain.start()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    """)
    assert ended(process) == (0, "")


def test_sigterm_after_stop_ends_the_process_as_ever(run: Run) -> None:
    process = run("client.start()\nclient.stop()\nprint('ready', flush=True)\ntime.sleep(60)")
    ready(process)
    process.terminate()
    assert ended(process) == (-signal.SIGTERM, "")


def test_sigterm_is_handled_when_sending_starts_in_another_thread(server, run: Run) -> None:
    process = run("""
        from threading import Thread
        starter = Thread(target=lambda: (client.start(), client.counter('c', 3)))
        starter.start()
        starter.join()
        print('ready', flush=True)
        time.sleep(60)
    """)
    ready(process)
    process.terminate()
    assert ended(process) == (-signal.SIGTERM, "")
    assert server.sums()["c",] == 3


def test_server_that_is_away_delays_the_exit_only_for_the_time_given(run: Run) -> None:
    process = run("""
        import socket
        deaf = socket.create_server(('127.0.0.1', 0))
        client = Client(f'http://127.0.0.1:{deaf.getsockname()[1]}', interval=60, exit_timeout=0.5)
        client.start()
        client.counter('c')
        began = time.monotonic()
        client.close()
        print(time.monotonic() - began, client.stats().buffered)
    """)
    code, output = ended(process)
    seconds, left = output.split()[-2:]
    assert (code, left) == (0, "1")
    assert float(seconds) < 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="fork is not on this platform")
def test_fork_sends_what_the_parent_recorded_once_and_the_child_on_its_own(server, run: Run) -> None:
    process = run("""
        client.start()
        client.counter('before')
        child = os.fork()
        client.counter('child' if child == 0 else 'parent', 2)
        if child:
            os.waitpid(child, 0)
    """)
    assert ended(process) == (0, "")
    assert server.sums() == {("before",): 1, ("child",): 2, ("parent",): 2}
