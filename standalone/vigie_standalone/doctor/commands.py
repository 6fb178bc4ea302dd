"""`vigie doctor`."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir

if TYPE_CHECKING:
    from vigie_standalone.doctor.findings import Finding

UNHEALTHY = 1


def doctor(
    *,
    url: Annotated[str, typer.Option(help="The front door; that of the running `vigie up` when none is named.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Look for what is wrong: versions, reachability, clocks, topics, indexes, disks, permissions. Changes nothing.

    Exit code 1 when something failed; with warnings alone it is 0.
    """
    from vigie_standalone.doctor.examination import examine
    from vigie_standalone.doctor.findings import Level
    from vigie_standalone.home import Home

    found = examine(Home(data_dir), url)
    typer.echo(json.dumps([asdict(one) for one in found], indent=1) if as_json else in_words(found))
    if any(one.level is Level.FAILED for one in found):
        raise typer.Exit(UNHEALTHY)


def in_words(found: "Sequence[Finding]") -> str:
    """A line for each, one more with what to do, and how many of each kind."""
    lines: list[str] = []
    for one in found:
        lines.append(f"{one.level:<8} {one.what}: {one.text}")
        if one.advice:
            lines.append(f"{'':<8} -> {one.advice}")
    levels = Counter(str(one.level) for one in found)
    lines.append(f"{levels['failed']} failed, {levels['warning']} warnings, {len(found)} looked at")
    return "\n".join(lines)
