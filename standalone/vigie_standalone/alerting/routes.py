"""`vigie routes`: who is told of which alerts, also from configuration files of Alertmanager."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, alerting, show_json, show_table, text_of
from vigie_standalone.arguments import DEFAULT_HOME, DataDir
from vigie_standalone.errors import StandaloneError

routes_app = typer.Typer(help="Routes: who is told of which alerts.", no_args_is_help=True)
_FILE = "A configuration file of Alertmanager; - for standard input."
Labels = Annotated[list[str], typer.Argument(help="The labels of an alert: alertname=DiskFull severity=critical.")]


@routes_app.command("show")
def show(
    *, as_json: AsJson = False, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """The tree: each route with its matchers, and who is told."""
    from vigie_standalone.query.series import printable

    found = alerting(url, key, tenant, data_dir).ask("GET", "/routes")
    if as_json:
        show_json(found)
        return
    if not found["version"]:
        typer.echo("There are no routes: alerts go to the channels of their rules, or of the settings.", err=True)
        return
    for line in _tree(found["route"], ""):
        typer.echo(printable(line))
    typer.echo("")
    rows = [[name, _told(one)] for name, one in found["receivers"].items()]
    show_table(["RECEIVER", "TELLS"], rows)
    if found["defaultReceiver"]:
        typer.echo(printable(f"By default: {found['defaultReceiver']}."), err=True)
    who = f" by {found['updatedBy']}" if found["updatedBy"] else ""
    typer.echo(printable(f"Version {found['version']}, of {found['updatedAt']}{who}."), err=True)


@routes_app.command("test")
def try_(
    *,
    labels: Labels,
    file: Annotated[Path | None, typer.Option(help=f"{_FILE} Asked without a server.")] = None,
    at: Annotated[str, typer.Option(help="When: now+8h, or RFC 3339; now, unsaid.")] = "",
    verify: Annotated[str, typer.Option(help="Receivers, comma-separated: exit code 1 when it is others.")] = "",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Where an alert with these labels would go, and why. Nobody is told anything."""
    from vigie_standalone.query.series import printable

    wanted = _labels(labels)
    if file is None:
        body = {"labels": wanted, **({"at": at} if at else {})}
        found = alerting(url, key, tenant, data_dir).ask("POST", "/routes/test", json=body)
    else:
        found = _offline(text_of(file), str(file), wanted, at or "now")
    if as_json:
        show_json(found)
    else:
        for one in found["steps"]:
            typer.echo(printable(f"{'yes' if one['taken'] else 'no '}  {one['route']}: {one['because']}"), err=True)
        for one in found["ways"]:
            typer.echo(printable(one["sentence"]), err=True)
            if one["inactive"]:
                typer.echo(printable(f"but not at that time: {one['inactive']}"), err=True)
        if not found["ways"]:
            typer.echo(printable(found["sentence"]), err=True)
        typer.echo(printable(",".join(found["receivers"])))
    if verify and verify != ",".join(found["receivers"]):
        typer.echo(printable(f"It should go to {verify}."), err=True)
        raise typer.Exit(1)


@routes_app.command("import")
def import_(
    *,
    file: Annotated[Path, typer.Argument(help=_FILE, metavar="FILE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Take a configuration file of Alertmanager, whole or not at all: routes, receivers, time intervals, inhibition
    rules. What cannot be taken is listed with its line. Imported again, it changes what differs."""
    from vigie_standalone.query.series import printable

    done = alerting(url, key, tenant, data_dir).ask(
        "POST",
        "/routes/import",
        params={"dryRun": str(dry_run).lower()},
        content=text_of(file).encode(),
        headers={"content-type": "application/yaml"},
    )
    for one in done["unmapped"]:
        typer.echo(printable(f"{file}:{one['line']}: not taken: {one['message']}"), err=True)
    for one in done["warnings"]:
        typer.echo(printable(f"warning: {one['field']}: {one['reason']}"), err=True)
    rows = [[one["verdict"], one["kind"], one["name"], one["type"], one["destination"]] for one in done["parts"]]
    show_table(["VERDICT", "KIND", "NAME", "TYPE", "DESTINATION"], rows)
    count = sum(1 for _ in _tree(done["tree"]["route"], ""))
    what = "would be taken (nothing was done)" if dry_run else f"are at version {done['tree']['version']}"
    typer.echo(f"{count} routes {what}.", err=True)


def _labels(texts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equal, value = text.partition("=")
        if not name or not equal:
            raise StandaloneError(f"{text}: labels are written name=value.")
        found[name.strip()] = value.strip().removeprefix('"').removesuffix('"')
    return found


def _offline(text: str, file: str, labels: dict[str, str], at: str) -> dict[str, Any]:
    from vigie_alerting.api.routing.schemas import Tested
    from vigie_alerting.routing.importing.judging import alone
    from vigie_alerting.rulebook.errors import InvalidRuleFile
    from vigie_query.errors import InvalidParameter
    from vigie_query.times import parse_time

    try:
        at_ms = parse_time(at, "--at", round(time.time() * 1000))
        routes, times = alone(text)
    except InvalidParameter as e:
        raise StandaloneError(f"{e.detail}.") from None
    except InvalidRuleFile as e:
        raise StandaloneError("\n".join(f"{file}:{one.line}: {one.message}" for one in e.findings)) from None
    return Tested.of(routes, labels, times, at_ms).model_dump(by_alias=True)


def _tree(route: dict[str, Any], indent: str) -> Iterator[str]:
    what = ", ".join(route["matchers"]) or ("every alert" if indent else "all alerts")
    more = " (and on)" if route["continue"] else ""
    times = [f"not in {name}" for name in route["muteTimes"]] + [f"only in {name}" for name in route["activeTimes"]]
    who = f" -> {route['receiver']}" if route["receiver"] else ""
    yield f"{indent}{what}{more}{who}{' '.join(['', *times])}"
    for one in route["routes"]:
        yield from _tree(one, indent + "  ")


def _told(receiver: dict[str, Any]) -> str:
    channels = [f"{one['type']} {one['destination']}".strip() for one in receiver["channels"]]
    chain = [f"escalation {receiver['escalation']}"] if receiver["escalation"] else []
    return ", ".join([*channels, *chain]) or "nobody"
