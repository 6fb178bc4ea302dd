"""What a backup consists of, and whether it is all there: `vigie-backup.json`, which is written last."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from vigie_storage.dump import DOCUMENTS, METADATA, Dumped, sha256

from vigie_standalone.errors import StandaloneError
from vigie_standalone.private import write_private

FORMAT: Final = 1
NAME: Final = "vigie-backup.json"
DATABASE: Final = "mongodb"
"""Directory of the documents."""
LOG: Final = "kafka"
"""Directory of the records that the documents do not know of yet."""
SECRETS: Final = "secrets"


class BackupError(StandaloneError):
    """A directory that is no whole backup, or one that cannot become one."""


@dataclass(frozen=True)
class LogTail:
    """Records of one partition: from the first that was not counted or stored, up to the end."""

    topic: str
    partition: int
    first: int
    """Offset of the first record that is wanted; `missing` of them had left the log already."""
    records: int
    sha256: str
    missing: int = 0

    @property
    def file(self) -> str:
        """Its name below LOG."""
        return f"{self.topic}-{self.partition}.records"


@dataclass(frozen=True)
class Manifest:
    """All of a backup."""

    format: int
    version: str
    """Of Vigie."""
    created: str
    """ISO 8601, UTC."""
    database: str
    partitions: int
    topics: dict[str, str]
    """Topic by what it carries: `samples`, `reports`, `checks`, `rules`, `targets`."""
    cluster_id: str
    topic_ids: dict[str, str]
    """By topic: the offsets mean something in these only."""
    encryption_key: str
    """Id of the newest key by which secrets in the documents are encrypted; empty: there is none, or nobody said."""
    collections: dict[str, Dumped]
    log: list[LogTail] = field(default_factory=list[LogTail])

    def write(self, directory: Path) -> None:
        """Say that the backup is whole."""
        write_private(directory / NAME, msgspec.json.format(msgspec.json.encode(self)).decode())

    def damaged(self, directory: Path) -> list[str]:
        """The files that are missing, or are not what was written."""
        expected = {Path(DATABASE, f"{name}{DOCUMENTS}"): one.sha256 for name, one in self.collections.items()}
        expected |= {Path(LOG, tail.file): tail.sha256 for tail in self.log}
        found = [str(file) for file, digest in expected.items() if _digest(directory / file) != digest]
        metadata = [Path(DATABASE, f"{name}{METADATA}") for name in self.collections]
        return found + [str(file) for file in metadata if not (directory / file).is_file()]


def read(directory: Path) -> Manifest:
    """The manifest of a whole backup. Raises BackupError."""
    try:
        manifest = msgspec.json.decode((directory / NAME).read_bytes(), type=Manifest)
    except OSError:
        raise BackupError(
            f"{directory} is no whole backup: it has no {NAME}, which `vigie backup` writes when all else is there."
        ) from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BackupError(f"{directory / NAME} is damaged: {error}.") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"{directory} was written in format {manifest.format} by Vigie {manifest.version}, and this one reads "
            f"format {FORMAT}: restore it with that version, and upgrade then."
        )
    return manifest


def _digest(file: Path) -> str:
    try:
        return sha256(file)
    except OSError:
        return ""
