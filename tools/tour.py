"""The README's tour as data: its steps can be run, compared and written anew with real output.

Why: a tour that nobody runs is wrong within a month. Every ```console block of the README is part of it: a line that
starts with `$ ` is a command (a backslash at the end of a line continues it), the lines below are its output. `...` in
an output line stands for anything, also for nothing; a line that is only `...` stands for any number of lines. In a
block that opens with ```console varies, numbers, times and fingerprints may be others, and series of points longer.

`python -m tools.tour [origin]` runs it against a running `vigie up` and says where it differs; with `--write` the real
output replaces what differs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
ORIGIN = "http://localhost:3000"
ANY = "..."
_BLOCK = re.compile(r"^```console( varies)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARYING = re.compile(r'"[0-9a-f]{16}"|\d{4}-\d\d-\d\dT[\d:.]+Z|-?\d+(\.\d+)?(e[+-]?\d+)?|null')
_TIERS = re.compile(r'"tiers":\[[^]]*\]')
_POINTS = re.compile(r"(\[0,0\],?)+")
_TIMEOUT_S = 60
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One command and the output it is expected to give."""

    command: str
    expected: tuple[str, ...]
    varies: bool = False

    @property
    def starts_vigie(self) -> bool:
        """`make up` and its like: who runs the tour has done that already."""
        return self.command.startswith("make ")


def steps(readme: str) -> Iterator[Step]:
    """All steps, in order."""
    for varies, block in _BLOCK.findall(readme):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            yield Step("\n".join(lines[: end + 1]), tuple(lines[end + 1 :]), bool(varies))


def fits(step: Step, output: Sequence[str]) -> bool:
    """Whether the output is what the tour shows."""
    if step.varies:
        return matches([_shape(line) for line in step.expected], [_shape(line) for line in output])
    return matches(step.expected, output)


def _shape(line: str) -> str:
    return _POINTS.sub("[0,0]", _VARYING.sub("0", _TIERS.sub('"tiers":[]', line)))


def matches(expected: Sequence[str], output: Sequence[str]) -> bool:
    """Whether the output is `expected`, in which dots stand for anything."""
    patterns = [r"(?:.*\n)*?" if line.strip() == ANY else _line(line) + r"\n" for line in expected]
    return re.fullmatch("".join(patterns), "".join(f"{line}\n" for line in output)) is not None


def _line(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.rstrip().split(ANY))


def run(step: Step, origin: str = ORIGIN) -> list[str]:
    """The lines that the command prints, and its errors when it fails.

    `origin` takes the place of the front door that the README names.
    """
    environment = {**os.environ, "PATH": f".venv/bin{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        ["sh", "-c", step.command.replace(ORIGIN, origin)],
        cwd=README.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    printed = ran.stdout + (ran.stderr if ran.returncode else "")
    return [line.rstrip() for line in printed.splitlines()]


def run_until(step: Step, deadline_s: float, origin: str = ORIGIN) -> list[str]:
    """As `run`, again and again until the output matches, since what was sent needs a moment to be readable.

    Gives the last output. Only for reads: a command that sends something is run once.
    """
    end = time.monotonic() + deadline_s
    while True:
        output = run(step, origin)
        sends = "-d " in step.command or "POST" in step.command
        if fits(step, output) or sends or time.monotonic() > end:
            return output
        time.sleep(_PAUSE_S)


def main(arguments: Sequence[str]) -> int:
    origin = next((argument for argument in arguments if argument.startswith("http")), ORIGIN)
    readme = README.read_text(encoding="utf-8")
    wrong = 0
    write = "--write" in arguments
    for step in steps(readme):
        if step.starts_vigie:
            continue
        output = run_until(step, 5.0, origin)
        if fits(step, output):
            continue
        wrong += 1
        print(f"$ {step.command}", *output, "", sep="\n")
        if write:
            before = "\n".join([f"$ {step.command}", *step.expected])
            readme = readme.replace(before, "\n".join([f"$ {step.command}", *output]))
    if write:
        README.write_text(readme, encoding="utf-8")
    print(f"tour: {wrong} steps differ from the README")
    return 1 if wrong and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
