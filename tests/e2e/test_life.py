"""The life of a `vigie up`: one per data directory, clean end, data kept."""

import os
import signal
import subprocess

import httpx2 as httpx
import psutil
import pytest

from tests.e2e.up import Up, command
from tests.kit import eventually_sync, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]


def custom(name: str, value: int) -> dict[str, object]:
    return {"name": name, "type": "counter", "value": value, "labels": {"service": "booking"}}


def total(up: Up, name: str) -> float | None:
    """The counter's running total, from the exposition."""
    for line in httpx.get(f"{up.url}/metrics", timeout=10, trust_env=False).text.splitlines():
        if line.startswith((f"{name}{{", f"{name}_total{{")):
            return float(line.rsplit("}", 1)[1].split()[0])
    return None


def test_second_start_is_refused_ctrl_c_leaves_nothing_and_a_restart_keeps_data(own_up: Up) -> None:
    own_up.start()
    assert httpx.post(f"{own_up.url}/api/metrics/custom", json=custom("kept", 5), trust_env=False).status_code == 201
    eventually_sync(lambda: total(own_up, "kept") == 5, 20)
    running = own_up.processes()
    assert len(running) >= 6  # itself, Kafka, mongod, Redis, aggregator, front door

    second = own_up.vigie("up", "--no-demo", "--port", str(free_port()))
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert str(own_up.run_file()["pid"]) in second.stderr
    assert "Traceback" not in second.stderr
    assert own_up.process.alive

    assert own_up.interrupt() == 0
    gone, alive = psutil.wait_procs(running, timeout=10)
    assert alive == []
    assert len(gone) == len(running)
    assert "Traceback" not in own_up.output()
    assert own_up.vigie("status").returncode != 0

    own_up.start()
    eventually_sync(lambda: total(own_up, "kept") == 5, 20)
    answer = httpx.post(f"{own_up.url}/api/metrics/custom", json=custom("kept", 2), trust_env=False)
    assert answer.status_code == 201
    eventually_sync(lambda: total(own_up, "kept") == 7, 20)
    assert own_up.vigie("status").returncode == 0

    down = own_up.vigie("down")
    assert down.returncode == 0
    eventually_sync(lambda: not own_up.process.alive, 30)


def test_sigkill_leaves_no_process_behind_and_the_next_start_goes_on(own_up: Up) -> None:
    own_up.start()
    assert httpx.post(f"{own_up.url}/api/metrics/custom", json=custom("hard", 3), trust_env=False).status_code == 201
    running = own_up.processes()
    os.kill(own_up.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(running, timeout=15)
    assert alive == []

    own_up.start()
    eventually_sync(lambda: total(own_up, "hard") == 3, 30)
    assert own_up.interrupt() == 0


def test_taken_port_is_refused_with_a_sentence(vigie: Up, own_up: Up) -> None:
    refused = subprocess.run(
        command("up", "--no-demo", "--port", str(vigie.port), "--data-dir", str(own_up.directory)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert f"Port {vigie.port} is taken" in refused.stderr
    assert "Traceback" not in refused.stderr
