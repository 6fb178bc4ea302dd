"""`vigie alerts`: what is wrong, and who has it."""

from typing import Annotated, Any

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, alerting, show_json, show_table
from vigie_standalone.arguments import DEFAULT_HOME, DataDir

alerts_app = typer.Typer(help="Alerts: see, acknowledge, escalate and resolve them.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The alert's id, as the list shows it.", metavar="ID")]
Note = Annotated[str, typer.Option(help="Shown beside the alert, and in its history.")]


@alerts_app.command("list")
def list_alerts(
    *,
    status: Annotated[list[str] | None, typer.Option(help="pending, active, acknowledged, resolved.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only of this severity.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only of rules of this name.")] = None,
    match: Annotated[list[str] | None, typer.Option(help="label=value or label!=value.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Alerts that fire or are acknowledged, unless others are asked for; the last begun first."""
    asked = {"status": status or ["active", "acknowledged"], "severity": severity, "type": type_, "match": match}
    wanted = {name: values for name, values in asked.items() if values}
    found = list(alerting(url, key, tenant, data_dir).all("", "alerts", limit, **wanted))
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("There are no such alerts.", err=True)
        return
    show_table(["ID", "STATUS", "SEVERITY", "SINCE", "TYPE", "MESSAGE", "WHO"], [_row(one) for one in found])


def _row(one: dict[str, Any]) -> list[str]:
    since = (one["createdAt"] or "")[:19].replace("T", " ")
    return [one["id"], one["status"], one["severity"], since, one["type"], one["message"], one["acknowledgedBy"] or ""]


@alerts_app.command("show")
def show(*, id_: Id, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME) -> None:
    """Everything about one alert."""
    show_json(alerting(url, key, tenant, data_dir).ask("GET", f"/{id_}"))


@alerts_app.command("ack")
def acknowledge(
    *,
    id_: Id,
    note: Note = "",
    until: Annotated[str, typer.Option(help="When it ends: now+2h, or RFC 3339; as long as it fires, unsaid.")] = "",
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Say that you have it."""
    body = {"note": note, **({"until": until} if until else {})}
    _moved(alerting(url, key, tenant, data_dir).ask("POST", f"/{id_}/acknowledge", json=body))


@alerts_app.command("unack")
def unacknowledge(
    *, id_: Id, note: Note = "", url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """Say that nobody has it any more."""
    _moved(alerting(url, key, tenant, data_dir).ask("POST", f"/{id_}/unacknowledge", json={"note": note}))


@alerts_app.command("escalate")
def escalate(*, id_: Id, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME) -> None:
    """Have the next step of its escalation chain told now."""
    from vigie_standalone.query.series import printable

    for one in alerting(url, key, tenant, data_dir).ask("POST", f"/{id_}/escalate")["steps"]:
        typer.echo(printable(f"step {one['step']} of the chain {one['chain']} is told now"))


@alerts_app.command("resolve")
def resolve(
    *, id_: Id, note: Note = "", url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """Say that it is over."""
    _moved(alerting(url, key, tenant, data_dir).ask("POST", f"/{id_}/resolve", json={"note": note}))


def _moved(one: dict[str, Any]) -> None:
    from vigie_standalone.query.series import printable

    who = f" by {one['acknowledgedBy']}" if one["acknowledgedBy"] else ""
    typer.echo(printable(f"{one['type']} is {one['status']}{who}: {one['message']}"))


@alerts_app.command("why")
def why(
    *,
    id_: Id,
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Why each receiver and channel was told of it, or not, newest first: one sentence each."""
    from vigie_standalone.query.series import printable

    found = alerting(url, key, tenant, data_dir).ask("GET", f"/{id_}/history")["why"]
    if as_json:
        show_json(found)
        return
    for one in found:
        typer.echo(printable(f"{(one['at'] or '')[:19].replace('T', ' ')}  {one['sentence']}"))


@alerts_app.command("history")
def history(
    *,
    id_: Id,
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Every step of an alert with its reason, and what was told about it, newest first."""
    found = alerting(url, key, tenant, data_dir).ask("GET", f"/{id_}/history")
    if as_json:
        show_json(found)
        return
    steps = [[one["at"] or "", one["toState"], one["reason"], one["detail"]] for one in found["transitions"]]
    told = [
        [one["settledAt"] or one["createdAt"], one["state"], f"to {one['channel']}", one["detail"]]
        for one in found["notifications"]
    ]
    show_table(["AT", "STATE", "REASON", "DETAIL"], sorted([*steps, *told], reverse=True))
