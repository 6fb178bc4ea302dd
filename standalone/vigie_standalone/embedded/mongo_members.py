"""`python -m vigie_standalone.embedded.mongo_members`: makes a replica set of running members and lets its user in.

What to make comes on standard input (see `apart`), with the key and the password in it.
"""

import time
from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from vigie_standalone.embedded.apart import answer
from vigie_standalone.embedded.mongo_probe import hello, is_primary
from vigie_standalone.embedded.mongod import HOST, REPLICA_SET, USER
from vigie_standalone.errors import StandaloneError

_NOT_YET_INITIALIZED = 94
_NODE_NOT_IN_CONFIG = 93  # InvalidReplicaSetConfig: this member's address is not in its configuration
_USER_EXISTS = 51003


class NoPrimaryError(StandaloneError):
    """The members are there, and agree on nobody."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"mongod had no primary within {seconds:.0f} s.")


def make(question: dict[str, Any]) -> None:
    """`ports` of the members; `key` that they prove to each other; `password` and `roles` of the user; the seconds
    that an election may take, `election_s`. Raises NoPrimaryError."""
    ports: list[int] = question["ports"]
    key: str = question["key"]
    _configure(ports, key)
    _let_in(_primary(ports, question["election_s"]), key, question["password"], question["roles"])


def _configure(ports: list[int], key: str) -> None:
    try:
        _admin(ports[0], key, {"replSetGetStatus": 1})
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALIZED:
            _admin(ports[0], key, {"replSetInitiate": _configuration(ports, 1)})
        elif error.code == _NODE_NOT_IN_CONFIG and len(ports) == 1:
            # The remembered port was taken, so the only member has a new address.
            known = _admin(ports[0], key, {"replSetGetConfig": 1})["config"]["version"]
            _admin(ports[0], key, {"replSetReconfig": _configuration(ports, known + 1), "force": True})
        else:
            raise


def _configuration(ports: list[int], version: int) -> dict[str, Any]:
    members = [{"_id": i, "host": f"{HOST}:{port}"} for i, port in enumerate(ports)]
    settings = {"electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 500}  # defaults: 10 s and 2 s
    return {"_id": REPLICA_SET, "version": version, "members": members, "settings": settings}


def _primary(ports: list[int], election_s: float) -> int:
    """The port of the one that accepts writes."""
    end = time.monotonic() + election_s
    while time.monotonic() < end:
        for port in ports:
            if is_primary(hello(HOST, port)):
                return port
        time.sleep(0.05)
    raise NoPrimaryError(election_s)


def _let_in(port: int, key: str, password: str, roles: list[Any]) -> None:
    """Make the services' user, or give it today's password and rights."""
    user = {"pwd": password, "roles": roles, "mechanisms": ["SCRAM-SHA-256"]}
    try:
        _admin(port, key, {"createUser": USER, **user})
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        _admin(port, key, {"updateUser": USER, **user})


def _admin(port: int, key: str, command: Mapping[str, Any]) -> dict[str, Any]:
    """Ask one member as the members ask each other, which whoever has the key file may do."""
    client: MongoClient[dict[str, Any]] = MongoClient(
        HOST,
        port,
        directConnection=True,
        serverSelectionTimeoutMS=2000,
        socketTimeoutMS=10_000,
        username="__system",
        password=key,
        authSource="local",
        authMechanism="SCRAM-SHA-256",
    )
    with client:
        return client.admin.command(dict(command))


if __name__ == "__main__":
    answer(make)
