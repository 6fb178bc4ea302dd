"""The files of a dump, and their lines. Nothing is read ahead."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vigie_standalone.history.progress import SUFFIX
from vigie_standalone.history.reading import LINE_BYTES, FileError
from vigie_standalone.supervision.extended import UnreadableError, document

ENDINGS = frozenset({".json", ".jsonl", ".ndjson"})


class Collection(StrEnum):
    """Of the replaced system, in the order in which they are brought along."""

    CONFIG = "monitoringconfigs"
    SITES = "sites"
    SERVICES = "services"
    USERS = "users"
    ALERTS = "alerts"
    SERVER_STATS = "serverstats"
    SITE_STATS = "sitestats"


_NAMES = {one.value: one for one in Collection} | {"monitoringconfig": Collection.CONFIG}


@dataclass(frozen=True)
class Line:
    """A line, counted from 1: a document, or why it is none."""

    number: int
    document: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Dump:
    """The file of each collection, and files that are none of them."""

    files: dict[Collection, Path]
    others: list[Path]


def found(paths: Sequence[Path]) -> Dump:
    """What is in these directories and files; a file is named after its collection. Raises FileError."""
    dump = Dump({}, [])
    for path in _files(paths):
        # `mongoexport -d twoine -c serverstats` is often written to twoine.serverstats.json
        name = path.stem.rpartition(".")[2].lower().replace("_", "").replace("-", "")
        collection = _NAMES.get(name) if path.suffix.lower() in ENDINGS else None
        if path.name.endswith(SUFFIX):  # where an import stopped
            continue
        if collection is None:
            dump.others.append(path)
        elif collection in dump.files:
            raise FileError(f"{path} and {dump.files[collection]} are both the collection {collection}: give one.")
        else:
            dump.files[collection] = path
    if not dump.files:
        names = ", ".join(f"{one}.json" for one in Collection)
        raise FileError(f"There is no collection of the replaced system there. Files are named {names}.")
    return dump


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        try:
            yield from sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}.") from None


def lines(path: Path) -> Iterator[Line]:
    """Every line that is not blank. Raises FileError."""
    try:
        with path.open("rb") as file:
            number = 0
            while text := file.readline(LINE_BYTES + 1):
                number += 1
                whole = len(text) <= LINE_BYTES
                while not whole and not text.endswith(b"\n") and (more := file.readline(LINE_BYTES)):
                    text = more  # only its end is looked for
                if number == 1:
                    text = text.removeprefix(b"\xef\xbb\xbf")
                if number == 1 and text.lstrip().startswith(b"["):
                    raise FileError(f"{path} is one JSON array: export it without --jsonArray.")
                if not whole:
                    yield Line(number, {}, f"is longer than {LINE_BYTES} bytes")
                elif text.strip():
                    yield _line(number, text)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from None


def _line(number: int, text: bytes) -> Line:
    try:
        return Line(number, document(text))
    except UnreadableError as error:
        return Line(number, {}, str(error))
