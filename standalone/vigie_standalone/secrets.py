"""Secrets that `vigie up` makes once and keeps, for which production has a secret store."""

import os
from collections.abc import Mapping

from vigie_standalone.home import Home
from vigie_standalone.private import kept_secret

VARIABLE = "VIGIE_JWT_SECRET"
SECRET_BYTES = 48


def variables(home: Home, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where the secrets are that the operator did not set, as `<VARIABLE>_FILE`. Made when they are first needed."""
    if environment.get(VARIABLE) or environment.get(f"{VARIABLE}_FILE"):
        return {}
    home.secrets.mkdir(mode=0o700, exist_ok=True)
    home.secrets.chmod(0o700)  # also when somebody made it before
    path = home.secrets / "jwt-secret"
    kept_secret(path, SECRET_BYTES)
    return {f"{VARIABLE}_FILE": str(path)}
