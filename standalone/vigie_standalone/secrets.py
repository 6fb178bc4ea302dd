"""Secrets that `vigie up` makes once and keeps, for which production has a secret store."""

import os
from collections.abc import Mapping

from vigie_standalone.home import Home
from vigie_standalone.private import kept_secret, write_private

VARIABLE = "VIGIE_JWT_SECRET"
SECRET_BYTES = 48
JWT_SECRET = "jwt-secret"  # noqa: S105 - the name of a file
OWN_KEY = "self-monitoring-key"


def variables(home: Home, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where the secrets are that the operator did not set, as `<VARIABLE>_FILE`. Made when they are first needed."""
    if environment.get(VARIABLE) or environment.get(f"{VARIABLE}_FILE"):
        return {}
    _own_directory(home)
    path = home.secrets / JWT_SECRET
    kept_secret(path, SECRET_BYTES)
    return {f"{VARIABLE}_FILE": str(path)}


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
