"""What several commands take, and how it is read."""

import re
from pathlib import Path
from typing import Annotated

import typer

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DEFAULT_HOME = Path(".vigie")
DataDir = Annotated[Path, typer.Option("--data-dir", envvar="VIGIE_HOME", help="Where data and the run file are kept.")]


def seconds(text: str) -> int:
    """`90`, `90s`, `15m`, `1h`, `2d` in seconds."""
    match = re.fullmatch(r"(\d+)([smhd]?)", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a duration; write 90s, 15m, 1h or 2d")
    return int(match[1]) * UNITS[match[2] or "s"]
