"""A file of history, cut into requests: JSON lines, or CSV whose records may span lines. Nothing is read ahead."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from vigie_standalone.errors import StandaloneError

BATCH_LINES = 1_000
BATCH_BYTES = 4 << 20
"""Of a request, unless it has but one line."""
LINE_BYTES = 1 << 20


class FileFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        return {FileFormat.NDJSON: "application/x-ndjson", FileFormat.CSV: "text/csv"}[self]


class FileError(StandaloneError):
    """The file cannot be read, or not as what it is taken for."""


@dataclass(frozen=True)
class Batch:
    """One request. `lines[i]` is where its item i begins in the file, counted from 1."""

    body: bytes
    lines: list[int]
    done: int
    """Items of the file up to the end of this one, header and blank lines not counted."""


def format_of(path: Path) -> FileFormat:
    """By the name's ending. Raises FileError."""
    match path.suffix.lower():
        case ".csv":
            return FileFormat.CSV
        case ".ndjson" | ".jsonl" | ".json":
            return FileFormat.NDJSON
    raise FileError(f"{path.name}: say with --format whether it is csv or ndjson.")


def batches(file: BinaryIO, form: FileFormat, skip: int = 0) -> Iterator[Batch]:
    """The file's batches after its first `skip` items. Raises FileError."""
    items, header = (_records(file) if form is FileFormat.CSV else _lines(file)), b""
    if form is FileFormat.CSV:
        header = next(items, (0, b""))[1]
    gathered: list[bytes] = []
    lines: list[int] = []
    size = done = 0
    for line, item in items:
        done += 1
        if done <= skip:
            continue
        if gathered and (len(gathered) == BATCH_LINES or size + len(item) > BATCH_BYTES):
            yield Batch(header + b"".join(gathered), lines, done - 1)
            gathered, lines, size = [], [], 0
        gathered.append(item)
        lines.append(line)
        size += len(item)
    if gathered:
        yield Batch(header + b"".join(gathered), lines, done)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while text := file.readline(LINE_BYTES + 1):
        number += 1
        if len(text) > LINE_BYTES:
            raise FileError(f"Line {number} is longer than {LINE_BYTES} bytes: this is not JSON lines.")
        if text.strip():
            yield number, text.rstrip(b"\r\n") + b"\n"


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Header first. Each is written anew, so that whatever was quoted stays one record."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.reader(text, strict=True)
    write, taken = _writer()
    begins = 1
    try:
        for row in rows:
            if row:
                write(row)
                yield begins, taken()
            begins = rows.line_num + 1
    except csv.Error as error:
        raise FileError(f"The record that begins in line {begins} is not valid CSV: {error}.") from None
    except UnicodeDecodeError:
        raise FileError(f"After line {begins} there are bytes that are not UTF-8.") from None
    finally:
        text.detach()


def _writer() -> tuple[Callable[[list[str]], object], Callable[[], bytes]]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")

    def taken() -> bytes:
        record = buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
        return record

    return writer.writerow, taken
