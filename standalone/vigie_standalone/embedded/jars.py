"""Kafka's jars: the pinned list, the check of the cache, and the download (jgo's Maven client, no Java, no mvn)."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vigie_standalone.embedded.cache import locked, sha256_of
from vigie_standalone.errors import DownloadError, StoppingError

LOCK_FILE = Path(__file__).with_name("kafka-jars.sha256")
PARALLEL = 4
HTTP_TIMEOUT_S = 30

# What jgo calls per file: (file name, size in bytes) -> a context that gives a function taking fetched bytes.
FileProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache and in Maven repositories."""
        return f"{self.artifact}-{self.version}.jar"


class Progress:
    """What a fetch reports to; the base class reports nothing. See `terminal.RichProgress`."""

    def begin(self, what: str, files: int) -> None:
        """`files` files are about to be fetched."""

    def file_done(self) -> None:
        """One of them is complete and verified."""

    @contextmanager
    def file(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        """One file's bytes."""
        yield lambda _count: None

    def end(self) -> None:
        """Fetching is over, well or not."""


class _Interruptible(Progress):
    """Reports to another one, and ends the fetch at the next block once everything is being stopped."""

    def __init__(self, inner: Progress, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._inner = inner
        self.begin = inner.begin
        self.file_done = inner.file_done
        self.end = inner.end

    def go_on(self, name: str) -> None:
        """Raises StoppingError when there is no going on."""
        if self._stopping.is_set():
            raise StoppingError(name)

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """One file's bytes."""
        with self._inner.file(name, size) as fetched:

            def block(count: int) -> None:
                self.go_on(name)
                fetched(count)

            yield block


def read_lock(path: Path = LOCK_FILE) -> list[Jar]:
    """The pinned jars: lines of `sha256  group:artifact:version`, `#` starts a comment."""
    jars: list[Jar] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return jars


Fetch = Callable[[Jar, Path, Progress], Path]


def ensure(
    directory: Path,
    jars: Sequence[Jar],
    progress: Progress | None = None,
    fetch: Fetch | None = None,
    stopping: threading.Event | None = None,
) -> list[Path]:
    """Paths of all jars, each verified now. Missing or broken ones are fetched; raises DownloadError.

    Once `stopping` is set fetching ends, within a block of a file, with StoppingError.
    """
    reporting = _Interruptible(progress or Progress(), stopping or threading.Event())
    with locked(directory):
        broken = [jar for jar in jars if sha256_of(directory / jar.file_name) != jar.sha256]
        if broken:
            for leftover in directory.glob("fetch-*"):  # of a fetch that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            _fetch_all(directory, broken, reporting, fetch or _fetch_with_jgo)
    return [directory / jar.file_name for jar in jars]


def _fetch_all(directory: Path, jars: Sequence[Jar], progress: _Interruptible, fetch: Fetch) -> None:
    progress.begin("Apache Kafka", len(jars))
    try:
        with (
            tempfile.TemporaryDirectory(dir=directory, prefix="fetch-") as scratch,
            ThreadPoolExecutor(PARALLEL) as pool,
        ):
            list(pool.map(lambda jar: _fetch_one(directory, jar, Path(scratch), progress, fetch), jars))
    finally:
        progress.end()


def _fetch_one(directory: Path, jar: Jar, scratch: Path, progress: _Interruptible, fetch: Fetch) -> None:
    progress.go_on(jar.file_name)
    fetched = fetch(jar, scratch, progress)
    if (found := sha256_of(fetched)) != jar.sha256:
        raise DownloadError(jar.file_name, f"its sha256 is {found}, pinned is {jar.sha256}")
    fetched.replace(directory / jar.file_name)  # only complete, verified files ever get this name
    progress.file_done()


def _fetch_with_jgo(jar: Jar, scratch: Path, progress: Progress) -> Path:
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress.file),
        repo_cache=scratch,
        # A mirror named in the user's jgo configuration comes first.
        remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL},
        timeout=HTTP_TIMEOUT_S,
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    try:
        path = context.resolver.download(artifact)
    except requests.RequestException as error:
        raise DownloadError(jar.file_name, f"the repository did not answer ({type(error).__name__})") from error
    except RuntimeError as error:  # jgo's word for "in none of the repositories"
        raise DownloadError(jar.file_name, "no repository has it") from error
    if path is None:
        raise DownloadError(jar.file_name, "nothing came")
    return path
