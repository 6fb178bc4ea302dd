"""`vigie rules`: what is watched, also as Prometheus rule files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vigie_standalone.alerting.arguments import AsJson, Key, Tenant, Url, alerting, show_json, show_table, text_of
from vigie_standalone.arguments import DEFAULT_HOME, DataDir

if TYPE_CHECKING:
    from vigie_contracts.alerts import Rule

rules_app = typer.Typer(help="Rules: what is watched.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The rule's id, as the list shows it.", metavar="ID")]
File = Annotated[Path, typer.Argument(help="A Prometheus rule file; - for standard input.", metavar="FILE")]
_MOST = 10_000
_MOST_LISTED = 100


@rules_app.command("list")
def list_rules(
    *,
    group: Annotated[str, typer.Option(help="Only this group.")] = "",
    name: Annotated[str, typer.Option(help="Only rules of this name.")] = "",
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Rules by group and name."""
    wanted = {**({"group": group} if group else {}), **({"name": name} if name else {})}
    found = list(alerting(url, key, tenant, data_dir).all("/rules", "rules", _MOST, **wanted))
    if as_json:
        show_json(found)
        return
    rows = [
        [one["id"], "on" if one["enabled"] else "off", one["group"], one["name"], one["severity"], one["promql"]]
        for one in found
    ]
    show_table(["ID", "", "GROUP", "NAME", "SEVERITY", "EXPRESSION"], rows)


@rules_app.command("show")
def show(*, id_: Id, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME) -> None:
    """Everything about one rule."""
    show_json(alerting(url, key, tenant, data_dir).ask("GET", f"/rules/{id_}"))


@rules_app.command("delete")
def delete(*, id_: Id, url: Url = "", key: Key = "", tenant: Tenant = "", data_dir: DataDir = DEFAULT_HOME) -> None:
    """Remove a rule; its alerts are resolved."""
    alerting(url, key, tenant, data_dir).ask("DELETE", f"/rules/{id_}")
    typer.echo(f"{id_} is gone.")


@rules_app.command("import")
def import_(
    *,
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Import a Prometheus rule file, whole or not at all. Imported again, it changes what differs."""
    done = alerting(url, key, tenant, data_dir).ask(
        "POST",
        "/rules/import",
        params={"dryRun": str(dry_run).lower()},
        content=text_of(file).encode(),
        headers={"content-type": "application/yaml"},
    )
    for one in done["warnings"]:
        typer.echo(f"{file}:{one['line']}: warning: {one['message']}", err=True)
    show_table(["VERDICT", "GROUP", "NAME"], [[one["verdict"], one["group"], one["name"]] for one in done["rules"]])
    said = ", ".join(f"{done[word]} {word}" for word in ("created", "changed", "unchanged"))
    typer.echo(f"{said}{' (nothing was done)' if dry_run else ''}.", err=True)


@rules_app.command("export")
def export(
    *,
    group: Annotated[str, typer.Option(help="Only this group.")] = "",
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Write the rules as a Prometheus rule file; what it cannot say stands in comments."""
    wanted = {"group": group} if group else {}
    typer.echo(alerting(url, key, tenant, data_dir).ask("GET", "/rules/export", params=wanted), nl=False)


@rules_app.command("lint")
def lint(file: File) -> None:
    """Say what is wrong with a rule file, line by line, without a server. Exit code 1 when it would be refused."""
    from vigie_alerting.rules.files import lint as findings_of

    from vigie_standalone.query.series import printable

    findings = findings_of(text_of(file))
    for one in findings:
        typer.echo(printable(f"{file}:{one.line}: {'error' if one.error else 'warning'}: {one.message}"))
    if any(one.error for one in findings):
        raise typer.Exit(1)
    typer.echo(f"{file} can be imported.", err=True)


@rules_app.command("test")
def test(
    files: Annotated[list[Path], typer.Argument(help="Files of unit tests, as promtool has them.", metavar="FILE...")],
) -> None:
    """Run unit tests of rules, without a server: promtool's files, its output and its exit code."""
    from vigie_alerting.backtest.unit.run import run

    from vigie_standalone.alerting.asking import printable_lines

    def out(text: str) -> None:
        typer.echo(printable_lines(text))

    def err(text: str) -> None:
        typer.echo(printable_lines(text), err=True)

    raise typer.Exit(run(files, out, err))


@rules_app.command("diff")
def diff(
    *,
    old: Annotated[Path, typer.Argument(help="A Prometheus rule file.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The one that is to take its place.", metavar="NEW")],
    days: Annotated[float, typer.Option(help="How much of the stored past, 30 at most.")] = 30.0,
    as_json: AsJson = False,
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Say which pages a changed rule file would have added and removed, over the stored past."""
    from dataclasses import asdict

    from vigie_alerting.rules.exporting import written
    from vigie_contracts.alerts import RuleKind

    from vigie_standalone.alerting.rule_diff import compare, files
    from vigie_standalone.query.series import printable

    found = files(old, new, text_of(old), text_of(new))
    api = alerting(url, key, tenant, data_dir)

    def pages(rules: "list[Rule]") -> dict[str, Any]:
        if not any(one.kind is not RuleKind.RECORDING for one in rules):
            return {"rules": [], "pages": {"total": 0}, "complete": True, "warnings": []}
        return api.ask("POST", "/rules/preview", json={"file": written(rules)[0], "days": days})

    before, after = pages(found.removed), pages(found.added)
    changes = compare(before["rules"], after["rules"])
    if as_json:
        show_json(
            {
                "same": found.same,
                "before": before["pages"],
                "after": after["pages"],
                "rules": list(map(asdict, changes)),
            }
        )
        return
    show_table(
        ["RULE", "PAGES BEFORE", "AFTER", "EPISODES -", "+", "="],
        [
            [one.name, *map(str, (one.pages_before, one.pages_after, len(one.removed), len(one.added), one.same))]
            for one in changes
        ],
    )
    steps = [("-", one) for change in changes for one in change.removed]
    steps += [("+", one) for change in changes for one in change.added]
    for sign, one in sorted(steps, key=lambda pair: pair[1]["firedAt"])[:_MOST_LISTED]:
        inside = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        typer.echo(printable(f"{sign} {one['firedAt'][:19]}Z  {one['firingMs'] // 60_000} min  {inside}"))
    if len(steps) > _MOST_LISTED:
        typer.echo(f"... and {len(steps) - _MOST_LISTED:,} more: --json has all that are known.", err=True)
    for change in changes:
        for error in change.errors:
            typer.echo(printable(f"{change.name}: {error}"), err=True)
    if not (before["complete"] and after["complete"]):
        typer.echo("Not all of the past could be looked at: ask for fewer days, or fewer rules.", err=True)
    said = f"{before['pages']['total']} pages before, {after['pages']['total']} after, in {days:g} days"
    typer.echo(f"{said}; {found.same} rules are the same in both files.", err=True)
