"""Free ports that a data directory remembers, so that a restart keeps its addresses."""

import json
import random
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

# Below the range from which systems take the local ports of outgoing connections (32768 and up on Linux): a port
# from that range can be taken by any client in the moment between a server's stop and its start.
LOWEST, HIGHEST = 20_000, 31_999
HIGHEST_OF_ALL = 65_535
ATTEMPTS = 500

_given: set[int] = set()
_lock = threading.Lock()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT leftovers do not stop a server
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on, and that this process has not given out before."""
    chooser = random.SystemRandom()  # tests seed the shared generator; two runs must not agree on a port
    with _lock:
        for _ in range(ATTEMPTS):
            port = chooser.randint(LOWEST, HIGHEST)
            if port not in _given and is_free(port):
                _given.add(port)
                return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1")


class Ports:
    """The ports of one data directory by name, kept in `ports.json`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "ports.json"

    def get(self, names: Iterable[str]) -> dict[str, int]:
        """A port for each name: the remembered one while it is free, else a new one."""
        known = self._load()
        chosen = {name: self._keep(known.get(name)) for name in names}
        if any(known.get(name) != port for name, port in chosen.items()):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(known | chosen, indent=1) + "\n", encoding="utf-8")
        return chosen

    @staticmethod
    def _keep(port: int | None) -> int:
        return port if port is not None and is_free(port) else free_port()

    def _load(self) -> dict[str, int]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
        except (
            FileNotFoundError,
            ValueError,
            RecursionError,
        ):  # a file cut short by a crash only costs the remembered ports
            return {}
        if not isinstance(stored, dict):
            return {}
        known: dict[str, int] = {}
        for name, port in stored.items():  # what is no port, or another's too, is as good as forgotten
            if type(port) is int and 0 < port <= HIGHEST_OF_ALL and port not in known.values():
                known[name] = port
        return known
