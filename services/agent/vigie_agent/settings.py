"""What can be set for an agent, from the environment. Light on purpose: not the settings class of services."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from vigie_contracts.hosts import HOST_PATTERN, MAX_INTERVAL_S, MIN_INTERVAL_S

from vigie_agent.errors import BadSettingError

ACTIONS: Final = ("start", "stop", "restart")
PATTERN: Final = r"^[A-Za-z0-9_.:@*?,\-]{1,512}$"
"""Of `VIGIE_AGENT_SERVICE_PATTERN`: names with `*` and `?`, several with commas."""
MAX_SECRET_BYTES: Final = 64 * 1024


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A field is read from the variable that `VARIABLES` names. The key is not among them: see `key`."""

    url: Annotated[
        str, Meta(pattern=r"^https?://[^\s/?#@]+[^\s?#@]*$", description="the front door: https://vigie.example.com")
    ] = "http://localhost:3000"
    host: Annotated[
        str, Meta(pattern=HOST_PATTERN, description="the name of this machine in Vigie; its host name unless set")
    ]
    state_dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="where reports wait and what was done is noted; systemd's state directory, else "
            "`~/.local/state/vigie-agent`, unless set",
        ),
    ]
    interval_s: Annotated[
        int,
        Meta(
            ge=MIN_INTERVAL_S,
            le=MAX_INTERVAL_S,
            description="between two reports, until the configuration of Vigie says another",
        ),
    ] = 30
    service_pattern: Annotated[
        str,
        Meta(
            pattern=PATTERN,
            description="systemd services that may be seen and controlled, with `*` and `?`, several with commas; "
            "Vigie can narrow it, never widen it",
        ),
    ] = "twoine-*"
    allow_actions: Annotated[
        str,
        Meta(description="of `start`, `stop`, `restart` what may be done to these services, with commas; or nothing"),
    ] = ""
    sites_dir: Annotated[
        str,
        Meta(
            pattern=r"^(/.*)?$",
            description="the directory of the sites: its volume is the host's disk, and no site's directory may be "
            "outside",
        ),
    ] = ""
    spool_bytes: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            le=16 * 1024 * 1024 * 1024,
            description="of reports that wait on disk; of more the oldest are dropped",
        ),
    ] = 256 * 1024 * 1024
    walk_ms: Annotated[
        int, Meta(ge=10, le=10_000, description="of CPU time for counting files, at most, in an interval")
    ] = 100
    log_format: Annotated[
        str, Meta(pattern=r"^(json|console)$", description="`json`, or `console` for people; `console` on a terminal")
    ] = "json"
    ca_file: Annotated[
        str, Meta(description="PEM file of the authority of the front door's certificate; the system's unless set")
    ] = ""

    @property
    def directory(self) -> Path:
        """The state directory."""
        return Path(self.state_dir)

    @property
    def allowed(self) -> frozenset[str]:
        """The actions that are allowed here."""
        return frozenset(word.strip() for word in self.allow_actions.split(",") if word.strip())


VARIABLES: Final[Mapping[str, str]] = {
    "url": "VIGIE_URL",
    "sites_dir": "SITES_DIR",
    "log_format": "VIGIE_LOG_FORMAT",
    **{
        name: f"VIGIE_AGENT_{name.upper()}"
        for name in (
            "host", "state_dir", "interval_s", "service_pattern", "allow_actions", "spool_bytes", "walk_ms", "ca_file",
        )
    },
}  # fmt: skip
"""Field -> variable."""
KEY: Final = "VIGIE_API_KEY"
CREDENTIAL: Final = "vigie-agent-key"
"""The name under which systemd hands the key over (`LoadCredential=`)."""


def load(environment: Mapping[str, str] = os.environ, **given: Any) -> AgentSettings:
    """The settings: what is `given` (by the command line) before what the environment says. Raises BadSettingError."""
    said = {name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)}
    values = {"host": socket.gethostname(), "state_dir": _state_dir(environment), **said}
    values |= {name: value for name, value in given.items() if value is not None}
    for name in list(values):
        one = {"host": values["host"], "state_dir": values["state_dir"], name: values[name]}
        try:
            msgspec.convert(one, AgentSettings, strict=False)
        except msgspec.ValidationError as e:
            raise BadSettingError(VARIABLES[name], f"cannot be {str(values[name])!r}: {_plain(str(e))}") from None
    settings = msgspec.convert(values, AgentSettings, strict=False)
    if unknown := sorted(settings.allowed - set(ACTIONS)):
        raise BadSettingError(VARIABLES["allow_actions"], f"knows {', '.join(ACTIONS)}, not {unknown[0]!r}")
    return settings


def schema() -> dict[str, Any]:
    """The properties of the settings, as JSON Schema: `description`, `default`, bounds."""
    return msgspec.json.schema(AgentSettings)["$defs"]["AgentSettings"]["properties"]


def descriptions() -> dict[str, str]:
    """What each field means."""
    return {name: str(said.get("description", "")) for name, said in schema().items()}


def key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The agent's key: VIGIE_API_KEY, the file that VIGIE_API_KEY_FILE names, or systemd's credential. Raises
    BadSettingError."""
    if value := environment.get(KEY):
        return value.strip()
    path = environment.get(f"{KEY}_FILE")
    if not path and (handed := environment.get("CREDENTIALS_DIRECTORY")):
        candidate = Path(handed) / CREDENTIAL
        path = str(candidate) if candidate.exists() else None
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode().strip() or None
    except (OSError, UnicodeDecodeError) as e:
        raise BadSettingError(f"{KEY}_FILE", f"names {path}, which cannot be read: {e}") from None


def _state_dir(environment: Mapping[str, str]) -> str:
    if systemd := environment.get("STATE_DIRECTORY"):
        return systemd.split(":", maxsplit=1)[0]
    base = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME") or "/var/lib") / ".local" / "state")
    return str(Path(base) / "vigie-agent")


def _plain(message: str) -> str:
    """What msgspec says, without its path."""
    return re.sub(r" - at `\$.*`$", "", message)
