"""`vigie import`: what a replaced system knows, brought along."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vigie_standalone.history.reading import FileFormat

import_app = typer.Typer(help="Bring the history of a replaced system in.", no_args_is_help=True)


def _form(text: str) -> "FileFormat | None":
    from vigie_standalone.history.reading import FileFormat

    try:
        return FileFormat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither csv nor ndjson") from None


@import_app.command("telemetry")
def telemetry(
    file: Annotated[
        Path, typer.Argument(help="CSV of the table tenant_metrics, or JSON lines.", dir_okay=False, exists=True)
    ],
    url: Annotated[str, typer.Option(help="The front door.")] = "http://localhost:3000",
    token: Annotated[str, typer.Option(envvar="VIGIE_TOKEN", help="An access token of a SUPERADMIN.")] = "",
    form: Annotated[str, typer.Option("--format", help="csv or ndjson; unsaid: by the file's ending.")] = "",
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget where an earlier run stopped.")] = False,
) -> None:
    """Import node telemetry. What is there already adds nothing, so a file may be imported again.

    Exit code: 0 all lines are in, 4 some were refused, 1 it stopped and goes on when it is run again.
    """
    import httpx2
    from rich.console import Console

    from vigie_standalone.history.run import bring

    chosen = _form(form)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx2.Client(base_url=url, headers=headers) as client:
        raise typer.Exit(bring(file, client, chosen, Console(), from_start=from_start))
