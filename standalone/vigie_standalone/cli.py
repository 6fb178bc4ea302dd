"""The `vigie` command. Every import that costs time is inside the command that needs it."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vigie_standalone.alerting.alerts import alerts_app
from vigie_standalone.alerting.channels import channels_app
from vigie_standalone.alerting.oncall import oncall_app
from vigie_standalone.alerting.routes import routes_app
from vigie_standalone.alerting.rules import rules_app
from vigie_standalone.alerting.silences import silences_app
from vigie_standalone.alerting.targets import targets_app
from vigie_standalone.arguments import DEFAULT_HOME, DataDir, seconds
from vigie_standalone.backup.commands import backup, restore
from vigie_standalone.doctor.commands import doctor
from vigie_standalone.errors import StandaloneError
from vigie_standalone.importing import import_app
from vigie_standalone.inbox.commands import inbox_app
from vigie_standalone.operator import admin_app, key_app, tenant_app
from vigie_standalone.partitions.commands import partitions
from vigie_standalone.private import UMASK
from vigie_standalone.query.command import query

if TYPE_CHECKING:
    from vigie_standalone.demo.control import Control
    from vigie_standalone.home import Home

EXIT_NOT_RUNNING = 3
STOP_TIMEOUT_S = 90

app = typer.Typer(
    help="Vigie: metrics, reports and events of business services, counted exactly and shown live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
dead_app = typer.Typer(help="Records no service could process: list and replay them.", no_args_is_help=True)
app.add_typer(dead_app, name="dead")
app.add_typer(import_app, name="import")
app.add_typer(inbox_app, name="inbox")
app.add_typer(admin_app, name="admin")
app.add_typer(tenant_app, name="tenant")
app.add_typer(key_app, name="key")
app.add_typer(alerts_app, name="alerts")
app.add_typer(rules_app, name="rules")
app.add_typer(channels_app, name="channels")
app.add_typer(routes_app, name="routes")
app.add_typer(silences_app, name="silences")
app.add_typer(oncall_app, name="oncall")
app.add_typer(targets_app, name="targets")
app.command("query")(query)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("doctor")(doctor)
app.command("partitions")(partitions)


def main() -> None:
    """Run the command; an expected failure is one sentence on standard error and exit code 1."""
    os.umask(UMASK)
    try:
        app()
    except StandaloneError as error:
        typer.echo(f"vigie: {error}", err=True)
        sys.exit(1)


@app.command()
def up(
    *,
    data_dir: DataDir = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The front door's port.")] = 3000,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    demo: Annotated[bool, typer.Option(help="Run the simulator of booking services.")] = True,
    json_logs: Annotated[bool, typer.Option(help="Pass the services' JSON logs through as they are.")] = False,
    self_monitoring: Annotated[
        bool, typer.Option(help="Measure this machine and Vigie's own HTTP traffic, every 15 seconds.")
    ] = True,
    alerting: Annotated[bool, typer.Option(help="Watch rules, and send notifications.")] = True,
    inbox: Annotated[bool, typer.Option(help="Catch mails and webhooks, to be seen with `vigie inbox`.")] = True,
    healthcheck: Annotated[bool, typer.Option(help="Ask targets whether they answer, Vigie's own parts too.")] = True,
    reset: Annotated[bool, typer.Option(help="Forget all data first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Start everything on this machine: Kafka, MongoDB, Redis, the services and a simulator.

    Set KAFKA_BOOTSTRAP_SERVERS, MONGODB_URI or REDIS_URL to use a server of yours instead of starting one.
    """
    from vigie_standalone.services import Options
    from vigie_standalone.up import run

    if reset:
        _reset(data_dir, yes)
    options = Options(data_dir, port, host, demo, json_logs, self_monitoring, alerting, inbox, healthcheck)
    raise typer.Exit(run(options))


def _reset(data_dir: Path, yes: bool) -> None:
    from vigie_standalone.home import Home

    home = Home(data_dir)
    home.claim()
    try:
        if not yes:
            typer.confirm(f"Forget everything that Vigie keeps in {home.directory}?", abort=True)
        home.reset()
    finally:
        home.release()


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def agent(context: typer.Context) -> None:
    """Report this machine, its sites and their services: run, once, status, install."""
    from vigie_agent.cli import run

    raise typer.Exit(run(context.args or ["--help"], "vigie agent"))


@app.command()
def prepare(
    wait: Annotated[int, typer.Option(min=1, max=3600, help="Seconds to wait for a server that does not answer.")] = 60,
) -> None:
    """Make the topics, collections and indexes that services need, on the servers that the environment names.

    Before the first start, and after an upgrade; safe to repeat. Services would make them too, each its part.
    """
    import asyncio

    from vigie_standalone.prepare import prepare as made

    ready = asyncio.run(made(wait))
    typer.echo(
        f"{ready.topics} topics of {ready.partitions} partitions, {ready.collections} collections with their indexes, "
        f"the tenant {ready.tenant}: all there"
    )


@app.command()
def status(data_dir: DataDir = DEFAULT_HOME) -> None:
    """Show what runs, how much of the machine it takes, and whether it is ready."""
    from vigie_standalone.home import Home, NotRunningError
    from vigie_standalone.status import show

    home = Home(data_dir)
    run = home.running()
    if run is None:
        typer.echo(str(NotRunningError(home.directory)))
        raise typer.Exit(EXIT_NOT_RUNNING)
    raise typer.Exit(0 if show(run) else 1)


@app.command()
def down(data_dir: DataDir = DEFAULT_HOME) -> None:
    """Stop the running `vigie up` as Ctrl-C would; returns when it is gone."""
    import signal

    from vigie_standalone.home import Home, NotRunningError

    home = Home(data_dir)
    run = home.running()
    if run is None:
        typer.echo(str(NotRunningError(home.directory)))
        return
    try:
        os.kill(run.pid, signal.SIGTERM)
    except ProcessLookupError:  # it has just ended
        pass
    except PermissionError:
        raise StandaloneError(f"Process {run.pid} is another user's, who has to stop it.") from None
    end = time.monotonic() + STOP_TIMEOUT_S
    while run.alive:
        if time.monotonic() > end:
            raise StandaloneError(
                f"Process {run.pid} is still stopping after {STOP_TIMEOUT_S} s. Run `vigie down` again to kill it."
            )
        time.sleep(0.1)
    typer.echo("Vigie is down; its data is kept.")


@app.command()
def demo(
    *,
    url: Annotated[str, typer.Option(help="The front door.")] = "http://localhost:3000",
    seed: Annotated[int, typer.Option(help="The same seed gives the same data at the same time.")] = 7,
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Factor on the number of visitors.")] = 1.0,
    backfill: Annotated[str, typer.Option(help="Fill the past first, such as 30m or 6h.")] = "0s",
    once: Annotated[bool, typer.Option(help="Fill the past only if this data directory's was not filled yet.")] = False,
    incident: Annotated[str, typer.Option(help="Begin with this incident, for five minutes.")] = "",
    incidents: Annotated[bool, typer.Option(help="Let something go wrong by itself, once in half an hour.")] = True,
    token: Annotated[str, typer.Option(envvar="VIGIE_TOKEN", help="Sent as bearer token.")] = "",
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of this machine on which the services say whether they run.")
    ] = 0,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Simulate five booking services: daily rhythm, funnel, revenue, errors, and incidents on demand."""
    import asyncio

    from vigie_standalone.demo.control import Control
    from vigie_standalone.demo.incidents import FIRST, FIRST_S
    from vigie_standalone.demo.run import DemoOptions, run_demo
    from vigie_standalone.home import Home

    home = Home(data_dir)
    control = home.directory / "incidents.json"
    past_s = seconds(backfill)
    with home.usable():
        if once and past_s:
            past_s = 0 if home.backfilled.exists() else past_s
            home.backfilled.touch()  # before: what was sent already would count again, in other slices
            if past_s and incidents:  # the first start of all: whoever looks sees what an alert is
                Control(control).start(FIRST, time.time() + FIRST_S)
        options = DemoOptions(url, seed, rate, past_s, token or None, control, incidents, health_port)
        if incident:
            Control(control).start(incident, time.time() + 300)
        with Control(control).followed():
            asyncio.run(run_demo(options))


@app.command()
def incident(
    name: Annotated[str, typer.Argument(help="Which; without a name all are listed.")] = "",
    duration: Annotated[str, typer.Option("--for", help="How long, such as 90s or 10m.")] = "5m",
    clear: Annotated[bool, typer.Option("--clear", help="End all incidents now.")] = False,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Let something go wrong in the running simulator. Exit code 3 when none runs."""
    from vigie_standalone.demo.control import Control, UnknownIncidentError
    from vigie_standalone.demo.incidents import INCIDENTS
    from vigie_standalone.home import Home

    if name and not clear and name not in INCIDENTS:
        raise UnknownIncidentError(name)
    home = Home(data_dir)
    control = Control(home.directory / "incidents.json")
    with home.usable():
        nobody = _no_simulator(home, control)
        if clear:
            control.clear()  # what a simulator left behind, too: the next one would go on with it
            typer.echo(nobody or "All incidents are over.")
        elif name:
            until = time.time() + seconds(duration)
            if nobody:
                typer.echo(nobody)
                raise typer.Exit(EXIT_NOT_RUNNING)
            control.start(name, until)
            typer.echo(f"{name} for {duration}: {INCIDENTS[name].summary}.")
            if alerts := INCIDENTS[name].alerts:
                typer.echo(f"Fires {' and '.join(alerts)}: `vigie inbox --follow` shows it.", err=True)
        else:
            active = [] if nobody else control.active(time.time())
            for known in INCIDENTS.values():
                fires = f" ({', '.join(known.alerts)})" if known.alerts else ""
                typer.echo(f"{known.name:<16}{'ON  ' if known.name in active else '    '}{known.summary}{fires}")
            if nobody:
                typer.echo(nobody, err=True)


def _no_simulator(home: "Home", control: "Control") -> str:
    """Why nobody would do what an incident says; empty when somebody does."""
    from vigie_standalone.home import NoSimulatorError, NotRunningError

    if control.is_followed():
        return ""
    return str((NoSimulatorError if home.running() else NotRunningError)(home.directory))


def _kafka(data_dir: Path, given: str) -> tuple[str, str]:
    """The Kafka to talk to, and its password: the option or variable, else that of the running `vigie up`."""
    from vigie_standalone.home import Home

    run = Home(data_dir).running()
    known = run.servers.get("kafka", {}) if run else {}
    if given and given != known.get("url"):
        return given, ""
    if known:
        return known["url"], known.get("password", "")
    raise StandaloneError("No Kafka is known: start `vigie up`, or set KAFKA_BOOTSTRAP_SERVERS.")


Bootstrap = Annotated[str, typer.Option("--kafka", envvar="KAFKA_BOOTSTRAP_SERVERS", help="host:port of the brokers.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many records, the newest.")]
TopicOption = Annotated[str, typer.Option("--topic", help="Only records that came from this topic.")]


@dead_app.command("list")
def dead_list(
    limit: Limit = 20, topic: TopicOption = "", kafka: Bootstrap = "", data_dir: DataDir = DEFAULT_HOME
) -> None:
    """Show dead records: where they came from, and why nobody could process them."""
    import asyncio

    from vigie_standalone import dead

    bootstrap, password = _kafka(data_dir, kafka)
    letters = asyncio.run(dead.read(bootstrap, limit, topic, password))
    for letter in letters:
        typer.echo(dead.describe(letter))
    typer.echo(f"{len(letters)} dead record(s) shown, oldest first.")


@dead_app.command("replay")
def dead_replay(
    limit: Limit = 100,
    topic: TopicOption = "",
    kafka: Bootstrap = "",
    data_dir: DataDir = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send dead records back, untouched, to the topic and partition they came from."""
    import asyncio

    from vigie_standalone import dead

    bootstrap, password = _kafka(data_dir, kafka)
    letters = asyncio.run(dead.read(bootstrap, limit, topic, password))
    if not letters:
        typer.echo("There are no dead records to replay.")
        return
    for line in dead.summary(letters):
        typer.echo(line)
    if not yes:
        typer.confirm(f"Send {len(letters)} record(s) back? Those that are still wrong will die again", abort=True)
    typer.echo(f"{asyncio.run(dead.replay(bootstrap, letters, password))} record(s) sent back.")
