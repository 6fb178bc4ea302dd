"""Secrets that `vigie up` makes once and keeps, for which production has a secret store."""

import os
from collections.abc import Mapping

from vigie_standalone.home import Home
from vigie_standalone.private import kept_secret, write_private

JWT_SECRET = "VIGIE_JWT_SECRET"  # noqa: S105 - the name of a variable
ENCRYPTION_KEYS = "VIGIE_ENCRYPTION_KEYS"
MADE = {JWT_SECRET: ("jwt-secret", 48), ENCRYPTION_KEYS: ("channel-keys", 32)}
"""Variable of each secret, its file, and how many bytes it has."""
_OLD_NAMES = {ENCRYPTION_KEYS: "VIGIE_CHANNEL_KEYS"}
OWN_KEY = "self-monitoring-key"
AGENT_KEY = "agent-key"


def variables(home: Home, *wanted: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where the wanted secrets are that the operator did not set, as `<VARIABLE>_FILE`. Made when they are first
    needed."""
    made: dict[str, str] = {}
    for variable in wanted:
        names = (variable, _OLD_NAMES.get(variable, variable))
        if any(environment.get(name + end) for name in names for end in ("", "_FILE")):
            continue
        file, size = MADE[variable]
        _own_directory(home)
        kept_secret(home.secrets / file, size)
        made[f"{variable}_FILE"] = str(home.secrets / file)
    return made


def found(home: Home, variable: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A secret that was made, under its variable; nothing where the operator set it, or it was not needed yet."""
    if any(environment.get(variable + end) for end in ("", "_FILE")):
        return {}
    kept = read(home, MADE[variable][0])
    return {variable: kept} if kept else {}


def read(home: Home, name: str) -> str | None:
    """A secret that was kept; None when there is none of that name."""
    path = home.secrets / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def keep(home: Home, name: str, secret: str) -> None:
    """Write a secret where only this user reads it."""
    _own_directory(home)
    write_private(home.secrets / name, secret + "\n")


def _own_directory(home: Home) -> None:
    home.secrets.mkdir(mode=0o700, exist_ok=True)
    home.secrets.chmod(0o700)  # also when somebody made it before
