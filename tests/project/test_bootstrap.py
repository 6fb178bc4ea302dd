"""`tools/uv` finds a recent uv or says in one sentence what is missing. It never touches the network here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose path has a space, with the wrapper only and a PATH directory of its own."""
    root = tmp_path / "a checkout"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "uv", root / "tools" / "uv")
    (root / "bin").mkdir()
    for name in ("sh", "dirname", "rm", "mkdir", "mv"):
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    return root


def program(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "HOME": str(checkout), **variables}
    command = [str(checkout / "tools" / "uv"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_recent_uv_on_path_is_used_and_never_downloads_python(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    program(checkout, "uv", 'case "$1" in --version) echo "uv 0.13.9 (x)";; *) echo "$UV_PYTHON_DOWNLOADS" "$@";; esac')
    ran = run(checkout, "sync", "--frozen")
    assert ran.stdout == "never sync --frozen\n"


def test_existing_environment_keeps_its_python(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    program(checkout, "uv", 'case "$1" in --version) echo "uv 1.0.0";; *) echo "python=${UV_PYTHON:-}";; esac')
    assert run(checkout, "sync").stdout == "python=\n"


@pytest.mark.parametrize("version", ["uv 0.9.30", "nonsense"])
def test_old_uv_is_not_used_and_old_python_is_said_so(checkout: Path, version: str) -> None:
    program(checkout, "uv", f'echo "{version}"')
    program(checkout, "python3", 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    ran = run(checkout, "sync")
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "vigie: Python 3.11 or newer is needed, but PATH has only: Python 3.9.2. "
        "Install one, or put it on PATH as python3.12."
    ]


def test_missing_venv_module_names_the_package(checkout: Path) -> None:
    program(checkout, "python3", 'case "$1" in -c) exit 0;; *) echo "ensurepip is not available"; exit 1;; esac')
    ran = run(checkout, "sync")
    assert ran.returncode == 1
    assert "install the package python3-venv" in ran.stderr
    assert "ensurepip is not available" in ran.stderr
    assert not list((checkout / ".tools").iterdir())


def test_failed_install_leaves_nothing_behind(checkout: Path) -> None:
    fake_pip = '#!/bin/sh\necho "no index reachable" >&2\nexit 1\n'
    make_venv = f'mkdir -p "$3/bin"; printf \'{fake_pip}\' > "$3/bin/python"; chmod +x "$3/bin/python"'
    (checkout / "bin" / "chmod").symlink_to(str(shutil.which("chmod")))
    program(checkout, "python3", f'case "$1" in -c) exit 0;; *) {make_venv};; esac')
    ran = run(checkout, "sync")
    assert ran.returncode == 1
    assert "no index reachable" in ran.stderr
    assert "check the network, or pip's index and proxy settings" in ran.stderr
    assert not list((checkout / ".tools").iterdir())


def test_what_the_system_trusts_counts_unless_said_otherwise(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    program(checkout, "uv", 'case "$1" in --version) echo "uv 1.0.0";; *) echo "$UV_SYSTEM_CERTS";; esac')
    assert run(checkout, "sync").stdout == "true\n"
    assert run(checkout, "sync", UV_SYSTEM_CERTS="false").stdout == "false\n"


def test_pip_certificate_bundle_is_used_for_uv_too(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    program(checkout, "uv", 'case "$1" in --version) echo "uv 0.13.9";; *) echo "$SSL_CERT_FILE";; esac')
    assert run(checkout, "sync", PIP_CERT="/etc/own.pem").stdout == "/etc/own.pem\n"
    assert run(checkout, "sync", PIP_CERT="/etc/own.pem", SSL_CERT_FILE="/x.pem").stdout == "/x.pem\n"


def test_make_lists_every_recipe() -> None:
    ran = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    for recipe in ("help", "up", "demo", "test", "lint", "types", "fmt", "bench", "chaos", "clean"):
        assert f"make {recipe}" in ran.stdout
