"""This machine: Vigie's own packages, the data directory, the front door."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

import httpx2 as httpx

from vigie_standalone.doctor.findings import Finding, clock, failed, ok, space, warning

TIMEOUT_S: Final = 5.0
_OTHERS: Final = 0o077


def packages() -> Finding:
    """Whether all of Vigie that is installed is of one version."""
    versions = {
        one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"].startswith("vigie-")
    }
    if len(set(versions.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        return failed("packages", f"of several versions: {listed}", "install all of one version")
    return ok("packages", f"Vigie {next(iter(versions.values()), 'of unknown version')}")


def directory(path: Path) -> Iterator[Finding]:
    """The data directory of `vigie up`, if there is one."""
    what = f"directory {path}"
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        yield failed(what, f"cannot be looked at: {error.strerror}", "run this as the user who starts Vigie")
        return
    if found.st_uid != os.geteuid():
        yield failed(what, "belongs to another user", "run this as the user who starts Vigie")
    elif stat.S_IMODE(found.st_mode) & _OTHERS:
        yield warning(what, "other users may read it", f"chmod 700 {path}; it holds data and secrets")
    elif not os.access(path, os.W_OK | os.X_OK):
        yield failed(what, "cannot be written", "mount it read-write, or name another with --data-dir")
    else:
        yield ok(what, "is its owner's alone")
    usage = shutil.disk_usage(path)
    yield space(what, usage.free, usage.total)


def front_door(url: str) -> Iterator[Finding]:
    """Whether it is ready, and what its clock says."""
    what = f"front door {url}"
    try:
        asked = time.time()
        answer = httpx.get(f"{url}/health/ready", timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        yield failed(what, f"does not answer: {reason}", "start the services; `vigie status` shows those of `vigie up`")
        return
    if answer.status_code == 200:
        yield ok(what, "is ready")
    else:
        yield failed(
            what, f"is not ready ({answer.status_code}): {answer.text[:300]}", "what is named there is missing"
        )
    if said := answer.headers.get("Date"):  # whole seconds, cut off
        ahead = parsedate_to_datetime(said).timestamp() - asked
        yield clock(what, 0.0 if -1.0 <= ahead <= time.time() - asked else ahead)
