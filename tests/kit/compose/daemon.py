"""A Docker daemon that a test may use: the one that answers; one of its own only where VIGIE_TEST_DOCKERD=1 asks.

A test suite starts no system daemon on anybody's machine without being told: dockerd makes bridges and rules of the
firewall."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vigie_standalone.embedded.cache import cache_dir

from tests.kit.wait import patience

ASKED: Final = "VIGIE_TEST_DOCKERD"
START_S: Final = 30.0
STOP_S: Final = 60.0
TAIL: Final = 2_000


class NotHere(Exception):  # noqa: N818 - a reason to skip, not a failure
    """What is missing on this machine, as a sentence."""


@dataclass(frozen=True)
class Daemon:
    """Where the daemon listens, and with what Compose is run."""

    environment: Mapping[str, str]
    compose: tuple[str, ...]
    own: bool
    """Started for the tests: what is left in it is nobody's."""

    def docker(self, *arguments: str, timeout: float = 120, stdin: Path | None = None) -> str:
        """Standard output of `docker ...`; AssertionError with what it said when it fails."""
        return self.run(("docker", *arguments), timeout=timeout, stdin=stdin)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        stdin: Path | None = None,
        more: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> str:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
            ran = subprocess.run(
                command,
                env={**os.environ, **self.environment, **(more or {})},
                stdin=source,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        assert ran.returncode == 0 or not check, (
            f"{' '.join(command)[:200]}:\n{ran.stdout[-TAIL:]}\n{ran.stderr[-TAIL:]}"
        )
        return ran.stdout


@contextmanager
def daemon() -> Iterator[Daemon]:
    """The daemon of this machine, or when asked one of our own for as long as this lasts. Raises NotHere."""
    if shutil.which("docker") is None:
        raise NotHere("docker is not on the PATH")
    if _answers({}):
        yield Daemon({"DOCKER_BUILDKIT": _buildkit({})}, _compose({}), own=False)
        return
    if os.environ.get("DOCKER_HOST"):
        raise NotHere("the daemon that DOCKER_HOST names does not answer")
    if os.environ.get(ASKED) != "1":
        raise NotHere(f"no Docker daemon answers; {ASKED}=1 has one started for the tests, by root on Linux")
    program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if program is None or sys.platform != "linux" or os.geteuid() != 0:
        raise NotHere(
            "no Docker daemon answers, and none of our own can be started: that needs dockerd, Linux and root"
        )
    directory = cache_dir() / "docker"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two would make the same bridge
        with _started(program, directory) as environment:
            environment["DOCKER_BUILDKIT"] = _buildkit(environment)
            yield Daemon(environment, _compose(environment), own=True)


@contextmanager
def _started(program: str, directory: Path) -> Iterator[dict[str, str]]:
    """Images and layers stay in `directory`, so that the next run builds little."""
    socket = f"unix://{directory}/docker.sock"
    environment = {"DOCKER_HOST": socket}
    command = [program, "--data-root", f"{directory}/data", "--exec-root", f"{directory}/run"]
    command += ["--pidfile", f"{directory}/dockerd.pid", "--host", socket, "--log-level", "warn"]
    log = directory / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        end = time.monotonic() + START_S * patience()
        while not _answers(environment):
            if process.poll() is not None or time.monotonic() > end:
                raise NotHere(f"dockerd does not start here: {log.read_text(errors='replace')[-300:].strip()}")
            time.sleep(0.2)
        yield environment
    finally:
        process.terminate()  # it stops its containers
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(environment: Mapping[str, str]) -> bool:
    return _works(("docker", "info"), environment)


def _buildkit(environment: Mapping[str, str]) -> str:
    """Not every distribution's package has it, and the old builder takes our Dockerfile too."""
    return "1" if _works(("docker", "buildx", "version"), environment) else "0"


def _compose(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Compose 2.24 or newer, as a plugin or a program of its own; Debian's package where apt has it."""
    for command in (("docker", "compose"), ("docker-compose",), (str(_fetched_compose()),)):
        if shutil.which(command[0]) is None:
            continue
        ran = subprocess.run(
            [*command, "version", "--short"],
            env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        version = ran.stdout.strip().lstrip("v").split("-")[0].split(".")
        if ran.returncode == 0 and version[0].isdigit() and (int(version[0]), int(version[1])) >= (2, 24):
            return command
    raise NotHere("no Docker Compose of version 2.24 or newer is here, and Debian's package could not be fetched")


def _fetched_compose() -> Path:
    from tests.kit.compose import debian

    try:
        return debian.unpacked("docker-compose") / "usr/libexec/docker/cli-plugins/docker-compose"
    except NotHere:
        return Path("docker-compose-is-not-here")


def _works(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    try:
        ran = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0
