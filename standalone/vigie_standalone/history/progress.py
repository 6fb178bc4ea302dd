"""Where an import stopped: a small file beside the one that is imported. To lose it costs time, and nothing else."""

import json
import os
from hashlib import blake2b
from pathlib import Path

SUFFIX = ".vigie-import"
_HEAD_BYTES = 64 * 1024


class ImportProgress:
    """How many items of a file have arrived at a Vigie."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path.with_name(path.name + SUFFIX)
        self._source = path
        self._url = url.rstrip("/")
        self.refused = 0
        """Of those that were loaded."""

    def load(self) -> int:
        """0 when nothing is known, or of another Vigie, or the file is another one by now. One that has grown is the
        same: it may be a log that goes on."""
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            same = (known["url"], known["head"]) == (self._url, self._head(known["head_bytes"]))
            if not same or self._source.stat().st_size < known["size"]:
                return 0
            self.refused = int(known.get("refused", 0))
            return int(known["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def save(self, done: int, refused: int = 0) -> bool:
        """Whether it could be kept."""
        size = self._source.stat().st_size
        head_bytes = min(size, _HEAD_BYTES)
        now = {
            "url": self._url, "done": done, "refused": refused, "size": size, "head_bytes": head_bytes,
            "head": self._head(head_bytes),
        }  # fmt: skip
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.write_text(json.dumps(now), encoding="utf-8")
            os.replace(new, self._path)
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """The import is complete."""
        self._path.unlink(missing_ok=True)

    def _head(self, size: int) -> str:
        with self._source.open("rb") as file:
            return blake2b(file.read(min(size, _HEAD_BYTES)), digest_size=16).hexdigest()
