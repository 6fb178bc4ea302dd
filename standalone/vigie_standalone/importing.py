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


def _ms(text: str) -> int | None:
    from datetime import datetime

    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is no time with a zone, such as 2026-01-31T12:00:00Z")
    return round(at.timestamp() * 1000)


@import_app.command("supervision")
def supervision(
    *,
    dump: Annotated[
        list[Path],
        typer.Argument(help="A directory, or files, of JSON lines as mongoexport writes them.", exists=True),
    ],
    host: Annotated[str, typer.Option(help="What the server is called in Vigie: as its agent says.")],
    url: Annotated[str, typer.Option(envvar="VIGIE_URL", help="The front door.")] = "http://localhost:3000",
    token: Annotated[str, typer.Option(envvar="VIGIE_TOKEN", help="An access token of an ADMIN of the tenant.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose it becomes.")] = "default",
    sites_dir: Annotated[str, typer.Option(help="Where sites are that do not say their directory.")] = "/var/www/sites",
    service_prefix: Annotated[str, typer.Option(help="How names of services begin.")] = "twoine-",
    site_ids: Annotated[
        str, typer.Option(help="Ids of sites: old, so that clients find them, or name.", metavar="[old|name]")
    ] = "old",
    own_config: Annotated[bool, typer.Option(help="The configuration is for this host alone.")] = False,
    config: Annotated[
        bool, typer.Option("--config", help="Its configuration takes the place of one that was set in Vigie.")
    ] = False,
    whole: Annotated[bool, typer.Option(help="The old system has ended: the newest statistics are complete.")] = False,
    until: Annotated[
        str, typer.Option(help="Only statistics from before, such as 2026-01-31T12:00:00Z: when the agent began.")
    ] = "",
    dry_run: Annotated[bool, typer.Option(help="Only read and judge the files; nothing is sent.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write every line that was not taken, and why, to this file.", dir_okay=False)
    ] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget where an earlier run stopped.")] = False,
) -> None:
    """Import sites, assignments, configuration, statistics and alerts of a server supervision that Vigie replaces.

    What is there already adds nothing, so a dump may be imported again. Exit code: 0 all lines are in or not needed, 4
    some were refused, 1 it stopped and goes on when it is run again.
    """
    import httpx2
    from rich.console import Console
    from vigie_contracts.hosts import HOST_RULE, is_host

    from vigie_standalone.probes import trust
    from vigie_standalone.supervision.dump import found
    from vigie_standalone.supervision.run import Wanted, bring
    from vigie_standalone.supervision.words import SiteIds

    if not is_host(host):
        raise typer.BadParameter(f"--host {HOST_RULE}")
    try:
        ids = SiteIds(site_ids)
    except ValueError:
        raise typer.BadParameter(f"{site_ids!r} is neither old nor name") from None
    wanted = Wanted(
        host, tenant, sites_dir, service_prefix, ids,
        own_config=own_config, config=config, whole=whole, until_ms=_ms(until), dry_run=dry_run, from_start=from_start,
    )  # fmt: skip
    headers = {"x-scope-orgid": tenant, **({"authorization": f"Bearer {token}"} if token else {})}
    with httpx2.Client(base_url=url, headers=headers, verify=trust(url)) as client:
        raise typer.Exit(bring(found(dump), wanted, client, Console(), report))
