"""The command: `run`, `once`, `status`, `install`. Also what `vigie agent` hands on to."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from vigie_agent import log, settings
from vigie_agent.app import Agent
from vigie_agent.errors import AgentError
from vigie_agent.settings import AgentSettings
from vigie_agent.state import StateDirectory, Status
from vigie_agent.unit import KEY_FILE, RULE_FILE, UNIT_FILE, Installation, rule, unit

EXIT_FAILED: Final = 1
EXIT_NOT_RUNNING: Final = 3
_LATE: Final = 3
"""Intervals without a collection, after which an agent is not well."""


def run(arguments: Sequence[str], program: str = "vigie-agent") -> int:
    """Run the command; the exit code. What is expected to go wrong is one sentence on standard error."""
    given = _parser(program).parse_args(arguments)
    told = {name: getattr(given, name) for name in settings.VARIABLES if getattr(given, name, None) is not None}
    if sys.stdout.isatty() and "VIGIE_LOG_FORMAT" not in os.environ:
        told["log_format"] = "console"
    try:
        return int(given.command(settings.load(**told), given))
    except AgentError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_FAILED


def _run(found: AgentSettings, _given: argparse.Namespace) -> int:
    log.configure(found.log_format)
    key = settings.key()
    state = StateDirectory(found.directory)
    state.claim()
    try:
        asyncio.run(_until_stopped(Agent(found, key, state)))
    except ValueError as e:  # a key that cannot be in a header
        raise AgentError(str(e)) from None
    finally:
        state.release()
    return 0


async def _until_stopped(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()


def _once(found: AgentSettings, _given: argparse.Namespace) -> int:
    report = asyncio.run(Agent(found, settings.key(), StateDirectory(found.directory)).once())
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    return 0


def _status(found: AgentSettings, given: argparse.Namespace) -> int:
    status = StateDirectory(found.directory).status()
    if status is None:
        print(f"No agent has run on {found.directory}.")
        return EXIT_NOT_RUNNING
    alive = _is_alive(status.pid)
    if given.json:
        print(msgspec.json.encode(status).decode())
    else:
        print("\n".join(describe(status, time.time() * 1000, alive=alive)))
    late = time.time() * 1000 - (status.collected_at or 0) > _LATE * status.interval * 1000
    if not alive:
        return EXIT_NOT_RUNNING
    return EXIT_FAILED if late or status.problem or status.spool_problem else 0


def describe(status: Status, now_ms: float, *, alive: bool) -> list[str]:
    """Lines for people."""

    def ago(at: int | None) -> str:
        return "never" if at is None else f"{max(0.0, now_ms - at) / 1000:.0f} s ago"

    lost = ", ".join(f"{count} {why}" for why, count in status.lost.items()) or "none"
    state = f"runs as process {status.pid}" if alive else "does not run"
    lines = [
        f"agent      {status.host} {status.version}, {state}",
        f"reports    every {status.interval:g} s to {status.url}, the last one {ago(status.collected_at)}",
        f"sent       {status.sent}, the newest is of {ago(status.last_sent)}",
        f"waiting    {status.waiting} ({status.waiting_bytes} bytes), given up: {lost}",
    ]
    lines += [f"commands   {status.commands}"] if status.commands else []
    return lines + [f"problem    {text}" for text in (status.problem, status.spool_problem) if text]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _install(found: AgentSettings, given: argparse.Namespace) -> int:
    wanted = Installation(found, given.key_file, given.user, given.read_all)
    texts = {given.unit_file: unit(wanted), **({RULE_FILE: text} if (text := rule(wanted)) else {})}
    if given.print:
        for path, text in texts.items():
            print(f"# {path}\n{text}" if path.endswith(".service") else f"// {path}\n{text}")
        return 0
    for path, text in texts.items():
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
            os.chmod(path, 0o644)
        except OSError as e:
            raise AgentError(f"{path} cannot be written: {e.strerror or e}. Run it as root, or use --print.") from None
        print(f"wrote {path}")
    if not Path(given.key_file).exists():
        print(f"next: write the agent's key to {given.key_file} (owner root, mode 0600)")
    if shutil.which("systemctl"):
        print("next: systemctl daemon-reload && systemctl enable --now vigie-agent")
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="The agent of this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    running = commands.add_parser("run", help="report until told to stop")
    once = commands.add_parser("once", help="print one report, and send nothing")
    status = commands.add_parser("status", help="how the agent of this machine is doing")
    install = commands.add_parser("install", help="write the unit file of systemd, and a rule for polkit")
    for command, function in ((running, _run), (once, _once), (status, _status), (install, _install)):
        command.set_defaults(command=function)
        _options(command)
    status.add_argument("--json", action="store_true", help="as JSON")
    install.add_argument("--print", action="store_true", help="only show what would be written")
    install.add_argument("--unit-file", default=UNIT_FILE, help="where the unit file goes")
    install.add_argument("--key-file", default=KEY_FILE, help="the file with the agent's key")
    install.add_argument("--user", default="", help="an account that exists; without, systemd makes one")
    install.add_argument(
        "--read-all", action="store_true", help="let it count files in directories that are closed to others"
    )
    return parser


def _options(command: argparse.ArgumentParser) -> None:
    """What the environment says as well."""
    described = settings.descriptions()
    for name, variable in settings.VARIABLES.items():
        text = f"{described[name]} ({variable})".replace("%", "%%")
        command.add_argument(f"--{name.replace('_', '-')}", dest=name, default=None, help=text)
