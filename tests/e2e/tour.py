"""The tour of the README as data: the commands of its ```console blocks, and what is printed below each."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kit import eventually_sync

README = Path(__file__).parents[2] / "README.md"
ORIGIN = re.compile(r"(localhost|127\.0\.0\.1):3000")
"""Of the front door, as the page has it."""
SEEN_WITHIN_S = 60.0
_BLOCK = re.compile(r"^```console( varies)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One command as a shell takes it, and the output that the page promises."""

    command: str
    output: str
    varies: bool = False
    """Whether numbers, times and ids differ from run to run; else the output is exactly the promised one."""


def steps(text: str) -> list[Step]:
    """Every command of every console block, in order. `$ ` begins one, `> ` or a backslash continues it."""
    found: list[Step] = []
    for varies, block in _BLOCK.findall(text):
        command: list[str] = []
        output: list[str] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                _finish(found, command, output, varies)
                command, output = [line[2:]], []
            elif command and not output and (line.startswith("> ") or command[-1].endswith("\\")):
                command.append(line.removeprefix("> "))
            else:
                output.append(line)
        _finish(found, command, output, varies)
    return found


def _finish(found: list[Step], command: list[str], output: list[str], varies: str) -> None:
    if command:
        found.append(Step("\n".join(command), "\n".join(output).strip(), bool(varies)))


def shape(text: str) -> str:
    """What stays the same of an output from run to run: numbers, times and ids become one sign each."""
    text = re.sub(r"\b[0-9a-f]{16,}\b", "#", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "#", text)
    return re.sub(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", "#", text)


def same(promised: str, printed: str) -> bool:
    """Whether the output is the promised one: JSON by its keys, text by its shape; `...` stands for anything."""
    try:
        wanted, given = json.loads(promised), json.loads(printed)
    except ValueError:
        pattern = ".*".join(re.escape(part.strip()) for part in shape(promised).split("..."))
        return re.search(pattern, shape(printed), re.DOTALL) is not None
    return _keys(wanted) <= _keys(given)


def _keys(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path, *(key for name, inner in value.items() for key in _keys(inner, f"{path}.{name}"))}
    if isinstance(value, list):
        return {path, *(key for inner in value[:1] for key in _keys(inner, f"{path}[]"))}
    return {path}


def walk(step: Step, run: Callable[[str], str]) -> None:
    """`run` it until it prints what the page promises, and what sends something only once. Raises AssertionError."""
    printed: list[str] = []

    def as_promised() -> bool:
        printed.append(run(step.command))
        return not step.output or (
            same(step.output, printed[-1]) if step.varies else step.output == printed[-1].strip()
        )

    def complaint() -> str:
        return f"{step.command}\nprinted\n{printed[-1]}\ninstead of\n{step.output}"

    if "-X POST" in step.command or "-d " in step.command or "--data" in step.command:
        assert as_promised(), complaint()
        return
    try:  # a read may come before what was just sent is counted
        eventually_sync(as_promised, SEEN_WITHIN_S, interval=0.5)
    except AssertionError as error:
        raise AssertionError(complaint()) from error
