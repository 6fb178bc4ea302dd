"""`vigie silences`: what is kept quiet."""

from typing import Annotated, Any

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, alerting, show_json, show_table
from vigie_standalone.arguments import DEFAULT_HOME, DataDir

silences_app = typer.Typer(help="Silences: what is kept quiet.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The silence's id, as the list shows it.", metavar="ID")]
Matchers = Annotated[
    list[str], typer.Argument(help="""What alerts must have: alertname=cpu_high host=~"web-.*".""", metavar="MATCHER")
]
Rrule = Annotated[str, typer.Option(help="Again and again: FREQ=WEEKLY;BYDAY=SU.")]
Each = Annotated[str, typer.Option(help="How long each time of --rrule.")]
Zone = Annotated[str, typer.Option(help="By whose clock --rrule goes: Europe/Paris.")]
Start = Annotated[str, typer.Option(help="When it begins: now+10m, or RFC 3339; now, unsaid.")]
_MOST = 10_000


@silences_app.command("list")
def list_silences(
    *,
    state: Annotated[list[str] | None, typer.Option(help="pending, active, expired; all but expired, unsaid.")] = None,
    matcher: Annotated[list[str] | None, typer.Option(help="Only those that have this matcher: name=value.")] = None,
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Silences in the order in which they were made."""
    wanted = {name: values for name, values in {"state": state, "matcher": matcher}.items() if values}
    found = list(alerting(url, key, tenant, data_dir).all("/silences", "silences", _MOST, **wanted))
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("There are no such silences.", err=True)
        return
    show_table(["ID", "STATE", "ENDS", "BY", "MATCHERS", "COMMENT"], [_row(one) for one in found])


def _row(one: dict[str, Any]) -> list[str]:
    ends = _moment(one["endsAt"]) if one["endsAt"] else "never"
    again = f" ({one['recurrence']['rrule']})" if one["recurrence"] else ""
    return [one["id"], one["state"], ends + again, one["createdBy"], " ".join(one["matchers"]), one["comment"]]


@silences_app.command("add")
def add(
    *,
    matchers: Matchers,
    comment: Annotated[str, typer.Option(help="Why: others will want to know.")],
    duration: Annotated[str, typer.Option("--for", help="How long: 2h. Until --end, if that is said.")] = "1h",
    start: Start = "",
    end: Annotated[str, typer.Option(help="When it ends: now+2h, or RFC 3339; never, of what recurs.")] = "",
    rrule: Rrule = "",
    each: Each = "",
    zone: Zone = "UTC",
    confirm: Annotated[bool, typer.Option("--confirm", help="Although it mutes everything.")] = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Keep alerts quiet. Its id is printed; what it would have muted in the last 7 days is told."""
    ends = end or ("" if rrule else f"now+{duration}")
    body = {"matchers": matchers, "comment": comment, "confirm": confirm, **_timing(start, ends, rrule, each, zone)}
    made = alerting(url, key, tenant, data_dir).ask("POST", "/silences", json=body)
    until = "again and again" if made["recurrence"] else f"until {_moment(made['endsAt'])}"
    typer.echo(f"Muted {until}. {_counted(made['wouldHaveMuted'])}", err=True)
    typer.echo(made["id"])


@silences_app.command("preview")
def preview(
    *,
    matchers: Matchers,
    rrule: Rrule = "",
    each: Each = "",
    zone: Zone = "UTC",
    start: Start = "",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """What it would have muted in the last 7 days, and would mute now."""
    body = {"matchers": matchers, **_timing(start, "", rrule, each, zone)}
    found = alerting(url, key, tenant, data_dir).ask("POST", "/silences/preview", json=body)
    if as_json:
        show_json(found)
        return
    rows = [
        [one["id"], str(one["times"]), _moment(one["lastAt"]), " ".join(f"{k}={v}" for k, v in one["labels"].items())]
        for one in found["examples"]
    ]
    if rows:
        show_table(["ALERT", "TIMES", "LAST", "LABELS"], rows)
    typer.echo(f"{_counted(found['wouldHaveMuted'])} It would mute {found['mutesNow']} that fire now.", err=True)
    if not found["complete"]:
        typer.echo("More happened in that time: this is about the newest of it.", err=True)
    if found["everything"]:
        typer.echo(f"It mutes everything ({found['everything']}): that needs --confirm.", err=True)


@silences_app.command("extend")
def extend(
    *,
    id_: Id,
    end: Annotated[str, typer.Argument(help="now+2h, or RFC 3339.", metavar="END")],
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Let it end at another time."""
    made = alerting(url, key, tenant, data_dir).ask("POST", f"/silences/{id_}/extend", json={"endsAt": end})
    typer.echo(f"{made['id']} ends at {_moment(made['endsAt'])}.")


@silences_app.command("expire")
def expire(
    *,
    ids: Annotated[list[str], typer.Argument(help="Ids, as the list shows them.", metavar="ID")],
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """End silences now. What still fires is told."""
    server = alerting(url, key, tenant, data_dir)
    for id_ in ids:
        server.ask("DELETE", f"/silences/{id_}")
        typer.echo(f"{id_} has expired.")


def _timing(start: str, end: str, rrule: str, each: str, zone: str) -> dict[str, Any]:
    again = {"rrule": rrule, "duration": each, "timeZone": zone} if rrule else None
    said = {"startsAt": start, "endsAt": end, "recurrence": again}
    return {name: value for name, value in said.items() if value}


def _counted(counts: dict[str, int] | None) -> str:
    if counts is None:
        return "What it would have muted in the last 7 days cannot be told now."
    alerts, rules, firings = counts["alerts"], counts["rules"], counts["firings"]
    return f"In the last 7 days that would have been {alerts} alerts of {rules} rules, {firings} times."


def _moment(text: str) -> str:
    return f"{text[:19].replace('T', ' ')} UTC"
