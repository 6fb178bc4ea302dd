"""`vigie targets`: services whose health is checked, also as files."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, health, show_json, show_table, text_of
from vigie_standalone.arguments import DEFAULT_HOME, DataDir
from vigie_standalone.errors import StandaloneError

targets_app = typer.Typer(help="Targets: services whose health is checked.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name of the service, as the list shows it.", metavar="NAME")]
_MOST = 10_000


@targets_app.command("add")
def add(
    *,
    name: Annotated[str, typer.Argument(help="What it is called.", metavar="NAME")],
    address: Annotated[
        str,
        typer.Argument(help="What is asked: https://shop.example.com/health, tcp://db:5432.", metavar="[URL]"),
    ] = "",
    kind: Annotated[str, typer.Option(help="How it is asked, where the URL does not say; or heartbeat.")] = "",
    interval: Annotated[str, typer.Option(help="From one check to the next.")] = "30s",
    timeout: Annotated[str, typer.Option(help="For one attempt; 5 s by default.")] = "",
    retries: Annotated[int, typer.Option(help="Further attempts before a check has failed.")] = 0,
    group: Annotated[str, typer.Option(help="What it belongs to.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="name=value, on its samples and alerts; several.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="'Name: value', kept secret; several.")] = None,
    depends_on: Annotated[list[str] | None, typer.Option(help="A service without which it cannot be up.")] = None,
    public: Annotated[bool, typer.Option(help="Show it on the status page.")] = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Watch a service. Of a heartbeat the token is printed, and shown this once."""
    form = {
        "name": name, "url": address, "kind": kind, "interval": interval, "timeout": timeout, "retries": retries,
        "group": group, "labels": _pairs(label, "="), "headers": _pairs(header, ":"), "dependsOn": depends_on or [],
        "public": public,
    }  # fmt: skip
    sent = {field: value for field, value in form.items() if value not in ("", {}, [])}
    made = health(url, key, tenant, data_dir).ask("POST", "/services", json=sent)
    for one in made["warnings"]:
        typer.echo(f"warning: {one['field']} {one['reason']}", err=True)
    typer.echo(f"{made['name']} is watched.", err=True)
    if made["token"]:
        typer.echo(made["token"])


def _pairs(texts: list[str] | None, mark: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for text in texts or ():
        name, found, value = text.partition(mark)
        if not found:
            raise StandaloneError(f"{text!r} must be a name and a value with {mark!r} between them.")
        made[name.strip()] = value.strip()
    return made


@targets_app.command("list")
def list_targets(
    *,
    group: Annotated[str, typer.Option(help="Only this group.")] = "",
    state: Annotated[str, typer.Option(help="Only in this state: up, degraded, down, unknown.")] = "",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Services by group and name, with their state."""
    wanted = {**({"group": group} if group else {}), **({"state": state} if state else {})}
    found = list(health(url, key, tenant, data_dir).all("/services", "services", _MOST, **wanted))
    if as_json:
        show_json(found)
        return
    _show(found)


def _show(services: list[dict[str, Any]]) -> None:
    rows = [
        [one["name"], one["state"] if one["enabled"] else "off", one["group"], one["kind"], one["url"], one["reason"]]
        for one in services
    ]
    show_table(["NAME", "STATE", "GROUP", "KIND", "URL", "REASON"], rows)


@targets_app.command("show")
def show(*, name: Name, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME) -> None:
    """Everything about one service."""
    show_json(health(url, key, tenant, data_dir).ask("GET", _path(name)))


@targets_app.command("delete")
def delete(
    *,
    name: Name,
    force: Annotated[bool, typer.Option(help="Although a file manages it.")] = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Watch it no more."""
    wanted = {"force": "true"} if force else {}
    health(url, key, tenant, data_dir).ask("DELETE", _path(name), params=wanted)
    typer.echo(f"{name} is gone.", err=True)


@targets_app.command("check")
def check(
    *,
    name: Annotated[str, typer.Argument(help="Which one; all by default.", metavar="[NAME]")] = "",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Check now, and say what was found. Exit code 1 when one is down, or its check was not over in time."""
    wanted = {"service": name} if name else {}
    found = health(url, key, tenant, data_dir).ask("POST", "/check", params=wanted)
    if as_json:
        show_json(found)
    else:
        _show(found["services"])
    for one in found["pending"]:
        typer.echo(f"{one}: its check was not over in time.", err=True)
    if found["pending"] or any(one["state"] == "down" for one in found["services"]):
        raise typer.Exit(1)


@targets_app.command("import")
def import_(
    *,
    file: Annotated[Path, typer.Argument(help="A file of targets; - for standard input.", metavar="FILE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    module: Annotated[
        str, typer.Option(help="The file is one of blackbox_exporter: the module that the targets are asked by.")
    ] = "",
    target: Annotated[list[str] | None, typer.Option(help="An address, with --module; several.")] = None,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Import a file of targets, whole or not at all. Imported again, it changes what differs."""
    text = text_of(file)
    if module:
        text = _of_blackbox(file, text, module, target or [])
    done = health(url, key, tenant, data_dir).ask(
        "POST",
        "/services/import",
        params={"dryRun": str(dry_run).lower()},
        content=text.encode(),
        headers={"content-type": "application/yaml"},
    )
    for one in done["warnings"]:
        typer.echo(f"{file}:{one['line']}: warning: {one['message']}", err=True)
    rows = [[one["outcome"], one["name"], ", ".join(one["fields"]), one["token"]] for one in done["services"]]
    show_table(["OUTCOME", "NAME", "CHANGES", "TOKEN"], rows)
    said = ", ".join(f"{done[word]} {word}" for word in ("created", "changed", "unchanged"))
    typer.echo(f"{said}{' (nothing was done)' if dry_run else ''}.", err=True)


def _of_blackbox(file: Path, text: str, module: str, addresses: list[str]) -> str:
    """A file of targets that are asked as a module of blackbox_exporter says."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    modules = found.get("modules") if isinstance(found, dict) else None
    if not isinstance(modules, dict) or module not in modules:
        raise StandaloneError(f"{file} has no module {module}.")
    if not addresses:
        raise StandaloneError("Say with --target what is asked: a file of blackbox_exporter does not.")
    targets = [{"name": one, "url": one, "module": module} for one in addresses]
    return yaml.safe_dump({"targets": targets, "modules": {module: modules[module]}})


@targets_app.command("export")
def export(
    *,
    group: Annotated[str, typer.Option(help="Only this group.")] = "",
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Write the targets as a file; what is secret is masked, and stays as it is when the file is imported again."""
    wanted = {"group": group} if group else {}
    typer.echo(health(url, key, tenant, data_dir).ask("GET", "/services/export", params=wanted), nl=False)


def _path(name: str) -> str:
    return f"/services/{quote(name, safe='')}"
