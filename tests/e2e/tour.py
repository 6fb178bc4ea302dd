"""The tour of the README as data: the commands of its ```console blocks, and what is printed below each."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
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
