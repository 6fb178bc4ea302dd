"""`vigie oncall`: who is on call, shifts, overrides, and the address of a calendar."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, on_call, show_json, show_table
from vigie_standalone.arguments import DEFAULT_HOME, DataDir

oncall_app = typer.Typer(help="Who is on call, and who is told when nobody acknowledges.", no_args_is_help=True)
Schedule = Annotated[str, typer.Argument(help="The schedule's name.", metavar="SCHEDULE")]
From = Annotated[str, typer.Option("--from", help="now+2h, or RFC 3339.")]


@oncall_app.command("now")
def show_now(
    *,
    at: Annotated[str, typer.Option(help="At another time: now+8h, or RFC 3339.")] = "now",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Who is on call in every schedule, until when, and who is next."""
    found = on_call(url, key, tenant, data_dir).ask("GET", "", params={"at": at})["schedules"]
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("There are no schedules.", err=True)
        return
    show_table(["SCHEDULE", "ON CALL", "UNTIL", "NEXT", "FROM"], [_row(one) for one in found])


def _row(one: dict[str, Any]) -> list[str]:
    then = one["next"] or {"person": "", "at": None}
    return [one["schedule"], one["person"] or "nobody", _moment(one["until"]), then["person"], _moment(then["at"])]


@oncall_app.command("shifts")
def list_shifts(
    *,
    schedule: Schedule,
    from_: From = "now",
    to: Annotated[str, typer.Option(help="now+28d, or RFC 3339.")] = "now+14d",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Who is on call when, and when nobody is. Times are UTC."""
    asked = {"from": from_, "to": to}
    found = on_call(url, key, tenant, data_dir).ask("GET", f"/schedules/{quote(schedule)}/shifts", params=asked)
    if as_json:
        show_json(found)
        return
    rows = [[one["from"], one["to"], one["person"], one["by"]] for one in found["shifts"]]
    rows += [[one["from"], one["to"], "nobody", ""] for one in found["gaps"]]
    show_table(["FROM", "TO", "ON CALL", "BY"], [[_moment(a), _moment(b), *rest] for a, b, *rest in sorted(rows)])


@oncall_app.command("override")
def override(
    *,
    schedule: Schedule,
    person: Annotated[str, typer.Argument(help="Who takes over.", metavar="PERSON")],
    to: Annotated[str, typer.Option(help="Until when: now+2h, or RFC 3339.")],
    from_: From = "now",
    note: Annotated[str, typer.Option(help="Shown beside it.")] = "",
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Somebody takes over for a while."""
    body = {"person": person, "from": from_, "to": to, "note": note}
    made = on_call(url, key, tenant, data_dir).ask("POST", f"/schedules/{quote(schedule)}/overrides", json=body)
    typer.echo(f"{made['id']}: {made['person']} from {_moment(made['from'])} to {_moment(made['to'])} UTC")


@oncall_app.command("calendar")
def share_calendar(
    *, schedule: Schedule, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """A new secret address that calendar apps subscribe to; the one before is none any more."""
    typer.echo(on_call(url, key, tenant, data_dir).ask("POST", f"/schedules/{quote(schedule)}/calendar")["url"])


@oncall_app.command("chains")
def list_chains(
    *, as_json: AsJson = False, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """Who is told when nobody acknowledges, step by step, and where that would be nobody."""
    from vigie_standalone.query.series import printable

    found = on_call(url, key, tenant, data_dir).ask("GET", "/chains")["chains"]
    if as_json:
        show_json(found)
        return
    rows = [
        [chain["name"], str(at), step["after"], ", ".join(f"{one['type']} {one['name']}" for one in step["notify"])]
        for chain in found
        for at, step in enumerate(chain["steps"], 1)
    ]
    show_table(["CHAIN", "STEP", "AFTER", "TELLS"], rows)
    for warning in (warning for chain in found for warning in chain["warnings"]):
        typer.echo(printable(f"Warning: {warning}."), err=True)


def _moment(text: str | None) -> str:
    return (text or "")[:16].replace("T", " ")
