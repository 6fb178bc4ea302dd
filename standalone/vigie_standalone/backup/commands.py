"""`vigie backup` and `vigie restore`."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir

Directory = Annotated[Path, typer.Argument(help="The directory of the backup.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def backup(
    directory: Directory,
    *,
    secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Also copy the keys that `vigie up` made: whoever has both reads all."),
    ] = False,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Save everything that Vigie keeps, while it runs: the documents of one moment, and what Kafka has beyond them.

    Of the running `vigie up`, or of the servers that KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI name.
    """
    from vigie_standalone.backup import manifest
    from vigie_standalone.backup.connecting import running
    from vigie_standalone.backup.saving import save
    from vigie_standalone.errors import StandaloneError
    from vigie_standalone.home import Home
    from vigie_standalone.secrets import ENCRYPTION_KEYS, found

    home = Home(data_dir)
    own = found(home, ENCRYPTION_KEYS)
    if secrets and not home.secrets.is_dir():
        raise StandaloneError(f"{home.secrets} is not there: leave --with-secrets out, and keep your own keys apart.")
    save({**running(home), **own}, directory, typer.echo)
    if secrets:
        shutil.copytree(home.secrets, directory / manifest.SECRETS)
    elif own:
        typer.echo(f"Keep {home.secrets} too, apart from it: by its keys the secrets in the backup are read.", err=True)
    typer.echo(f"The backup is in {directory}.")


def restore(
    directory: Directory,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the backup is whole.")] = False,
    replace: Annotated[bool, typer.Option(help="Give up what is there now.")] = False,
    yes: Yes = False,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Bring a backup back, while no service runs: into a new data directory of `vigie up`, or the servers that
    KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI name.

    The Kafka is the one of the backup, which is read on from there, or one without Vigie's topics.
    """
    from vigie_standalone.backup import restoring

    saved = restoring.checked(directory)
    typer.echo(f"{directory}: Vigie {saved.version}, {saved.created}, {saved.partitions} partitions, whole.")
    if check:
        return
    if replace and not yes:
        typer.confirm("Give up everything that is there now?", abort=True)
    with _servers(data_dir, directory, replace=replace) as variables:
        restoring.restore(variables, directory, saved, typer.echo, replace=replace)
    typer.echo("The backup is back. Start the services; the front door may know old answers until Redis is emptied.")


@contextmanager
def _servers(data_dir: Path, backup: Path, *, replace: bool) -> Iterator[Mapping[str, str]]:
    """Where to restore to: embedded servers of the data directory are new, and end with the block."""
    from vigie_standalone.accounts import UNKNOWN, is_set
    from vigie_standalone.backup.manifest import SECRETS, BackupError
    from vigie_standalone.embedded.servers import VARIABLES, Server, Servers
    from vigie_standalone.home import Home
    from vigie_standalone.secrets import ENCRYPTION_KEYS, found

    wanted = (Server.KAFKA, Server.MONGODB)
    redis = {} if is_set(VARIABLES[Server.REDIS]) else {VARIABLES[Server.REDIS]: UNKNOWN[Server.REDIS]}
    given = [is_set(VARIABLES[server]) for server in wanted]
    if all(given):
        yield redis
        return
    if any(given):
        raise BackupError("Set both KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI, or none: then they are embedded.")
    home = Home(data_dir)
    home.claim()
    servers = Servers(home.servers)
    try:
        with home.usable():
            if home.servers.exists() and not replace:
                raise BackupError(
                    f"{home.directory} has data already. Name another directory with --data-dir, or give --replace to "
                    "give up what is there."
                )
            shutil.rmtree(home.servers, ignore_errors=True)
            if (backup / SECRETS).is_dir():
                shutil.copytree(backup / SECRETS, home.secrets, dirs_exist_ok=True)
            home.backfilled.touch()  # what the simulator sent of the past is in the backup
            servers.start(wanted)
            yield {**servers.variables(), **redis, **found(home, ENCRYPTION_KEYS)}
    finally:
        servers.stop()
        home.release()
