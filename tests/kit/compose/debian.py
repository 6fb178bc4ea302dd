"""Packages of Debian 13, unpacked beside the system and never installed into it; fetched by apt as it is set up."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from vigie_standalone.embedded.cache import cache_dir, locked

from tests.kit.compose.daemon import NotHere

RELEASE: Final = "trixie"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_MIRROR: Final = "http://deb.debian.org/debian"
_FETCH_S: Final = 300
BASE_PACKAGES: Final = "python3,python3-venv,python3-pip,ca-certificates,wget,libcurl4t64,libcap2-bin,libgomp1,procps"
"""What the official images of Python, MongoDB, Kafka and Caddy have that ours or their programs use."""
_AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def unpacked(package: str) -> Path:
    """The directory with the files of a package. Raises NotHere."""
    directory = cache_dir() / f"debian-{RELEASE}"
    with locked(directory):
        target = directory / package
        if not target.exists():
            archive = _download(directory, package)
            partial = directory / f"{package}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _run(["dpkg", "-x", str(archive), str(partial)])
            partial.rename(target)
        return target


def base_system() -> Path:
    """A tar archive of a small Debian with Python, as the official image of Python has it. Raises NotHere."""
    bootstrap = unpacked("debootstrap")
    directory = cache_dir() / f"debian-{RELEASE}"
    archive = directory / "base.tar"
    with locked(directory):
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=directory) as root:
                _bootstrap(bootstrap, Path(root))
                partial = archive.with_suffix(".partial")
                _run(["tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", str(partial), "."])
                partial.rename(archive)
    return archive


def _bootstrap(bootstrap: Path, root: Path) -> None:
    program = bootstrap / "usr/sbin/debootstrap"
    command = [str(program), "--variant=minbase", f"--include={BASE_PACKAGES}", RELEASE, str(root), _MIRROR]
    _run(command, {"DEBOOTSTRAP_DIR": str(bootstrap / "usr/share/debootstrap")})
    (root / "usr/local/bin/python3").symlink_to("/usr/bin/python3")
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    if _AUTHORITIES.exists():  # those that this machine believes: a package index of its own may be among them
        shutil.copyfile(_AUTHORITIES, root / "etc/ssl/certs/ca-certificates.crt")


def _download(directory: Path, package: str) -> Path:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None or not _KEYRING.exists():
        raise NotHere("this is no Debian: nothing can be fetched by apt")
    for part in ("apt/lists/partial", "apt/cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    sources = directory / "apt/sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {_MIRROR} {RELEASE} main\n", encoding="utf-8")
    options = [f"Dir::State::lists={directory}/apt/lists", f"Dir::Cache={directory}/apt/cache"]
    options += [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=/dev/null", "APT::Sandbox::User=root"]
    apt = ["apt-get", "-qq", *(f"-o{option}" for option in options)]
    _run([*apt, "update"])
    _run([*apt, "download", package], directory=directory)
    return max(directory.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)


def _run(command: list[str], more: dict[str, str] | None = None, directory: Path | None = None) -> None:
    try:
        subprocess.run(
            command, env={**os.environ, **(more or {})}, cwd=directory,
            check=True, capture_output=True, text=True, timeout=_FETCH_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or ""
        raise NotHere(f"{command[0]} does not give what is needed here: {error} {said[-300:]}") from error
