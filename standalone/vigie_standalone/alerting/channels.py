"""`vigie channels`: where notifications go."""

from typing import Annotated

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, alerting, show_json, show_table
from vigie_standalone.arguments import DEFAULT_HOME, DataDir

channels_app = typer.Typer(help="Channels: where notifications go.", no_args_is_help=True)


@channels_app.command("list")
def list_channels(
    *, as_json: AsJson = False, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """The tenant's channels, and those of the settings."""
    found = alerting(url, key, tenant, data_dir).ask("GET", "/channels")["channels"]
    if as_json:
        show_json(found)
        return
    rows = [
        [one["id"], one["type"], one["name"], one["destination"], "settings" if one["default"] else ""] for one in found
    ]
    show_table(["ID", "TYPE", "NAME", "DESTINATION", ""], rows)


@channels_app.command("test")
def send_test(
    *,
    channel: Annotated[str, typer.Argument(help="Its id, or the type of one of the settings: slack, email, live.")],
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Send one test message. Exit code 1 when it did not arrive."""
    from vigie_standalone.query.series import printable

    verdict = alerting(url, key, tenant, data_dir).ask("POST", f"/channels/{channel}/test")
    if verdict["delivered"]:
        typer.echo("The message was delivered.")
        return
    again = "; trying again may help" if verdict["temporary"] else ""
    typer.echo(printable(f"It was not delivered: {verdict['detail']}{again}."), err=True)
    raise typer.Exit(1)
