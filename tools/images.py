"""Builds the images of all services, or of those that are named, and prints their sizes: `make images`.

python -m tools.images [SERVICE ...] [--base IMAGE] [--prefix vigie] [--network host]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tools.deployment.services import SERVICES, VERSION

ROOT: Final = Path(__file__).parents[1]
NAMES: Final = (*(row.name for row in SERVICES), "standalone")
_BUILD_TIMEOUT_S: Final = 900


@dataclass(frozen=True, slots=True)
class Options:
    """`base`: what the Dockerfile begins with, when not what it says itself. `network`: of the build's commands."""

    base: str = ""
    prefix: str = "vigie"
    network: str = ""


def build(service: str, options: Options, environment: Mapping[str, str] | None = None) -> str:
    """Build one image and give its name; raises CalledProcessError with what docker said. `environment` comes upon that
    of this process: which daemon."""
    image = f"{options.prefix}/{service}:{VERSION}"
    arguments = {"SERVICE": service, "VERSION": VERSION, "REVISION": _revision(), "CREATED": _committed()}
    if options.base:
        arguments["BASE"] = options.base
    command = ["build", "--file", "deploy/docker/Dockerfile", "--tag", image]
    command += ["--network", options.network] if options.network else []
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    _docker([*command, "."], environment)
    return image


def sizes(image: str, environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Bytes of the image, and of what we put upon its base: the layers that Dockerfile's second part adds."""
    inspected = _docker(["image", "inspect", image], environment)
    whole = int(json.loads(inspected)[0]["Size"])
    shown = ["history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", "--no-trunc", image]
    lines = _docker(shown, environment).splitlines()
    ours = next(number for number, line in enumerate(lines) if "useradd" in line) + 1
    return whole, sum(int(line.split(" ", 1)[0]) for line in lines[:ours])


def _docker(command: Sequence[str], environment: Mapping[str, str] | None) -> str:
    ran = subprocess.run(
        ["docker", *command], cwd=ROOT, env={**os.environ, **(environment or {})},
        check=True, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S,
    )  # fmt: skip
    return ran.stdout


def _revision() -> str:
    return _git("rev-parse", "HEAD") or "unknown"


def _committed() -> str:
    """The time of the commit, not of the build: the same source gives the same label."""
    stamp = _git("log", "-1", "--format=%ct")
    return datetime.fromtimestamp(int(stamp or 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    parser.add_argument("services", nargs="*", default=NAMES, metavar="SERVICE")
    parser.add_argument("--base", default="")
    parser.add_argument("--prefix", default="vigie")
    parser.add_argument("--network", default="")
    given = parser.parse_args(arguments)
    options = Options(given.base, given.prefix, given.network)
    for service in given.services:
        try:
            image = build(service, options)
        except subprocess.CalledProcessError as error:
            print(f"{service}: {error.stdout[-2000:]}{error.stderr[-4000:]}", file=sys.stderr)
            return 1
        whole, ours = sizes(image)
        print(f"{image}: {whole / 1e6:.0f} MB, of which {ours / 1e6:.0f} MB are ours", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
