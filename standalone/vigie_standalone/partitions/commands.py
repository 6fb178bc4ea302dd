"""`vigie partitions`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir


def partitions(
    count: Annotated[int, typer.Argument(min=0, max=4096, help="How many there are to be; without it, tell.")] = 0,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Divide the partitions into more of them, while no service runs: a multiple of how many there are.

    Of the servers that KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI name, else of the data directory of a `vigie up` that is
    stopped. Interrupted, it goes on where it is run again.
    """
    from vigie_standalone.partitions.changing import change, look

    with _servers(data_dir) as variables:
        if not count:
            typer.echo(look(variables))
            return
        if not yes:
            typer.confirm(f"Are all services stopped, and may there be {count} partitions from now on?", abort=True)
        change(variables, count, typer.echo)


@contextmanager
def _servers(data_dir: Path) -> Iterator[Mapping[str, str]]:
    """Where they are: embedded ones of a data directory are started, and end with the block."""
    from vigie_standalone.accounts import UNKNOWN, is_set
    from vigie_standalone.embedded.servers import VARIABLES, Server, Servers
    from vigie_standalone.home import Home
    from vigie_standalone.partitions.changing import PartitionsError

    wanted = (Server.KAFKA, Server.MONGODB)
    redis = {} if is_set(VARIABLES[Server.REDIS]) else {VARIABLES[Server.REDIS]: UNKNOWN[Server.REDIS]}
    if all(is_set(VARIABLES[server]) for server in wanted):
        yield redis
        return
    home = Home(data_dir)
    if not home.servers.is_dir():
        raise PartitionsError(
            f"{home.directory} has no data of a `vigie up`. Name its directory with --data-dir, or set both "
            "KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI."
        )
    home.claim()
    servers = Servers(home.servers)
    try:
        with home.usable():
            servers.start(wanted)
            yield {**servers.variables(), **redis}
    finally:
        servers.stop()
        home.release()
