"""`vigie query EXPR`: PromQL from the shell, as a table, JSON, CSV or a plot."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir, seconds

DEFAULT_URL = "http://localhost:3000"
_POINTS = 120
"""Of each series over time, when no step is given."""
_LEAST_STEP_S = 10


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def query(
    *,
    expression: Annotated[str, typer.Argument(help="A PromQL expression, in quotes.", metavar="EXPR")],
    at: Annotated[str, typer.Option("--time", help="When: Unix seconds or RFC 3339. Now, unsaid.")] = "",
    length: Annotated[str, typer.Option("--range", help="Over the time before that, such as 1h.")] = "",
    step: Annotated[str, typer.Option(help="Time between two points, with --range.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How the answer is written.")] = Format.TABLE,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it, with --range.")] = False,
    url: Annotated[str, typer.Option(envvar="VIGIE_URL", help="The front door; else that of `vigie up` here.")] = "",
    key: Annotated[str, typer.Option(envvar="VIGIE_API_KEY", help="An API key that may read.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose data, for who sees several tenants.")] = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Evaluate a PromQL expression now, at a time, or over a range of time."""
    from rich.console import Console

    from vigie_standalone.query import showing
    from vigie_standalone.query.asking import Server, ask

    if (plot or step) and not length:
        raise typer.BadParameter("--plot and --step are about a range of time: give --range, such as --range 1h")
    fields = {"query": expression, **_times(at, length, step)}
    server = Server(url or local_url(data_dir), key, tenant)
    answer = ask(server, "query_range" if length else "query", fields)
    for note in answer.notes:
        typer.echo(note, err=True)
    if plot:
        console = Console()
        typer.echo(showing.plot(answer, console.width, colours=console.is_terminal), nl=False, color=True)
    elif form is Format.JSON:
        typer.echo(answer.body)
    elif form is Format.CSV:
        typer.echo(showing.as_csv(answer), nl=False)
    else:
        showing.table(answer, Console(highlight=False, markup=False, file=sys.stdout))


def _times(at: str, length: str, step: str) -> dict[str, str]:
    """The fields that say when. An end is a number, so that the beginning can be told from it."""
    if not length:
        return {"time": at} if at else {}
    end, span = _moment(at), seconds(length)
    chosen = seconds(step) if step else max(_LEAST_STEP_S, span // _POINTS)
    return {"start": str(end - span), "end": str(end), "step": str(chosen)}


def _moment(text: str) -> float:
    import time
    from datetime import datetime

    if not text:
        return float(int(time.time()))
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write Unix seconds or 2026-01-31T12:00:00Z") from None


def local_url(data_dir: Path) -> str:
    """The front door of `vigie up` here; where it would be when none runs."""
    from vigie_standalone.home import Home

    run = Home(data_dir).running()
    return run.url if run else DEFAULT_URL
