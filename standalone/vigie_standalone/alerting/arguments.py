"""What the commands about alerts and targets share."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vigie_standalone.errors import StandaloneError

if TYPE_CHECKING:
    from vigie_standalone.alerting.asking import Api

Url = Annotated[str, typer.Option(envvar="VIGIE_URL", help="The front door; else that of `vigie up` here.")]
Key = Annotated[str, typer.Option(envvar="VIGIE_API_KEY", help="An API key that may do this.")]
Tenant = Annotated[str, typer.Option(help="Whose, for who sees several tenants.")]
_MAX_BYTES = 8 << 20
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def alerting(url: str, key: str, tenant: str, data_dir: Path) -> "Api":
    """Whom to ask about alerts."""
    return _api("/api/alerts", url, key, tenant, data_dir)


def health(url: str, key: str, tenant: str, data_dir: Path) -> "Api":
    """Whom to ask about targets."""
    return _api("/api/health", url, key, tenant, data_dir)


def on_call(url: str, key: str, tenant: str, data_dir: Path) -> "Api":
    """Whom to ask about who is on call."""
    return _api("/api/oncall", url, key, tenant, data_dir)


def _api(below: str, url: str, key: str, tenant: str, data_dir: Path) -> "Api":
    from vigie_standalone.alerting.asking import Api
    from vigie_standalone.query.asking import Server
    from vigie_standalone.query.command import local_url

    return Api(Server(url or local_url(data_dir), key, tenant), below)


def text_of(file: Path) -> str:
    """Of a file, or with `-` of the standard input."""
    import sys

    try:
        data = sys.stdin.buffer.read(_MAX_BYTES + 1) if str(file) == "-" else file.read_bytes()
        if len(data) > _MAX_BYTES:
            raise StandaloneError(f"{file} is longer than {_MAX_BYTES:,} bytes.")
        return data.decode()
    except OSError as error:
        raise StandaloneError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StandaloneError(f"{file} is not UTF-8.") from None


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
