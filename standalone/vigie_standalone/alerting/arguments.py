"""What the commands of alerting share."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vigie_standalone.alerting.asking import Alerting

Url = Annotated[str, typer.Option(envvar="VIGIE_URL", help="The front door; else that of `vigie up` here.")]
Key = Annotated[str, typer.Option(envvar="VIGIE_API_KEY", help="An API key that may do this.")]
Tenant = Annotated[str, typer.Option(help="Whose, for who sees several tenants.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def alerting(url: str, key: str, tenant: str, data_dir: Path) -> "Alerting":
    """Whom to ask."""
    from vigie_standalone.alerting.asking import Alerting
    from vigie_standalone.query.asking import Server
    from vigie_standalone.query.command import local_url

    return Alerting(Server(url or local_url(data_dir), key, tenant))


def show_json(found: Any) -> None:
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def show_table(head: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they need; tabs when it is no terminal."""
    import sys

    from vigie_standalone.query.series import printable

    shown = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in shown:
            typer.echo("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(head, *shown, strict=True)]
    for row in [head, *shown]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
