"""Sample payloads of every message and version ever written, and the kit that makes each consumer read all of them.

They lie in `payloads/<topic or intake>/`, one file each. A file whose name starts with `bad-` must be refused with the
family's own error; any other must be read. A consumer's tests call `payloads(topic)` and feed every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Payload:
    name: str
    data: bytes

    @property
    def good(self) -> bool:
        """Whether a consumer must take it."""
        return not self.name.startswith("bad-")


def payloads(family: str) -> list[Payload]:
    """All payloads of a topic (`vigie.samples.v1`) or an intake (`api.events`), by name.

    Raises LookupError when there are none: a test that reads nothing must not pass.
    """
    folder = files("vigie_contracts") / "payloads" / family
    found = [Payload(f.name, f.read_bytes()) for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []
    if not found:
        raise LookupError(f"there is no payload of {family}")
    return sorted(found, key=lambda p: p.name)
