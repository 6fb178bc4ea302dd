"""The file of targets of an operator: loaded at the start, and when it changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_runtime import logging
from vigie_runtime.errors import ProblemError, StoreUnavailable

from vigie_healthcheck.targets import file, importing
from vigie_healthcheck.targets.errors import TargetConflict
from vigie_healthcheck.targets.file import Entry, Finding, InvalidTargetFileError
from vigie_healthcheck.targets.importing import Outcome
from vigie_healthcheck.targets.references import References
from vigie_healthcheck.targets.targetbook import Targetbook

log = logging.get(__name__)

POLL_S: Final = 2.0
MAX_BYTES: Final = 4 * 1024 * 1024


class WatchedFile:
    """`run` until `stop`. What stands in the file is in force as far as it can be read: a change that is refused leaves
    what was."""

    def __init__(self, book: Targetbook, tenant: TenantId, path: str, poll_s: float = POLL_S) -> None:
        self._book, self._tenant, self._path, self._poll_s = book, tenant, Path(path), poll_s
        self._loaded: bytes | None = None
        self._references = References()
        self._told = ""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    async def run(self) -> None:
        """Look every now and then."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._stopping.wait()
                    return
            await self.load()

    async def load(self) -> None:
        """Put what the file says in force, unless it says what it said. What is wrong is logged, once."""
        try:
            content, known = await asyncio.to_thread(self._read)
            if known:
                return
            self._loaded = None
            entries, warnings = await asyncio.to_thread(self._entries, content)
            done, more = await importing.put_all(self._book, self._tenant, entries, SYSTEM, managed_by=self._path.name)
        except (StoreUnavailable, TargetConflict):  # MongoDB is away, or another replica loads it too
            return
        except (OSError, UnicodeDecodeError, InvalidTargetFileError, ProblemError) as e:
            self._tell(f"the file of targets cannot be used: {_reason(e)}")
            return
        self._loaded, self._told = content, ""
        counts = {outcome.value: sum(one.outcome is outcome for one in done) for outcome in Outcome}
        log.info("the file of targets is in force", file=str(self._path), **counts)
        for one in (*warnings, *more):
            log.warning("in the file of targets", file=str(self._path), remark=str(one))

    def _read(self) -> tuple[bytes, bool]:
        """The file, and whether it says what is in force, with all that it refers to."""
        with self._path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OSError(f"it is longer than {MAX_BYTES} bytes")
        return content, content == self._loaded and not self._references.changed()

    def _entries(self, content: bytes) -> tuple[list[Entry], list[Finding]]:
        entries, warnings = file.read(content.decode())
        return self._references.filled(entries), warnings

    def _tell(self, sentence: str) -> None:
        if sentence != self._told:
            self._told = sentence
            log.error(sentence, file=str(self._path))


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
