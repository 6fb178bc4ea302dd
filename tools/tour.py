"""The README's tour as data: its steps can be run, compared and written anew with real output.

Why: a tour that nobody runs is wrong within a month. Every ```console block of the README is part of it: a line that
starts with `$ ` is a command (a backslash at the end of a line continues it), the lines below are its output. `...` in
an output line stands for anything, also for nothing; a line that is only `...` stands for any number of lines.

`python -m tools.tour` runs it against a running `vigie up` and says where it differs; with `--write` the real output
replaces what differs.
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
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TIMEOUT_S = 60
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One command and the output it is expected to give."""

    command: str
    expected: tuple[str, ...]

    @property
    def starts_vigie(self) -> bool:
        """`make up` and its like: who runs the tour has done that already."""
        return self.command.startswith("make ")


def steps(readme: str) -> Iterator[Step]:
    """All steps, in order."""
    for block in _BLOCK.findall(readme):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            yield Step("\n".join(lines[: end + 1]), tuple(lines[end + 1 :]))


def matches(expected: Sequence[str], output: Sequence[str]) -> bool:
    """Whether the output is what the tour shows."""
    patterns = [r"(?:.*\n)*?" if line.strip() == ANY else _line(line) + r"\n" for line in expected]
    return re.fullmatch("".join(patterns), "".join(f"{line}\n" for line in output)) is not None


def _line(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.rstrip().split(ANY))


def run(step: Step, origin: str = ORIGIN) -> list[str]:
    """The lines that the command prints. `origin` takes the place of the front door that the README names.

    Raises subprocess.CalledProcessError when it fails.
    """
    environment = {**os.environ, "PATH": f".venv/bin{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        ["sh", "-c", step.command.replace(ORIGIN, origin)],
        cwd=README.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    return [line.rstrip() for line in ran.stdout.rstrip("\n").split("\n")] if ran.stdout.strip() else []


def run_until(step: Step, deadline_s: float, origin: str = ORIGIN) -> list[str]:
    """As `run`, again and again until the output matches, since what was sent needs a moment to be readable.

    Gives the last output. Only for reads: a command that sends something is run once.
    """
    end = time.monotonic() + deadline_s
    while True:
        output = run(step, origin)
        sends = "-d " in step.command or "POST" in step.command
        if matches(step.expected, output) or sends or time.monotonic() > end:
            return output
        time.sleep(_PAUSE_S)


def main(arguments: Sequence[str]) -> int:
    readme = README.read_text(encoding="utf-8")
    wrong = 0
    for step in steps(readme):
        if step.starts_vigie:
            continue
        output = run_until(step, 5.0)
        if matches(step.expected, output):
            continue
        wrong += 1
        print(f"$ {step.command}", *output, "", sep="\n")
        if "--write" in arguments:
            before = "\n".join([f"$ {step.command}", *step.expected])
            readme = readme.replace(before, "\n".join([f"$ {step.command}", *output]))
    if "--write" in arguments:
        README.write_text(readme, encoding="utf-8")
    print(f"tour: {wrong} steps differ from the README")
    return 1 if wrong and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
