"""Serves the files of the dashboard: one page, and what it loads, all below `assets/`.

Every file is asked for again with its ETag, and then answered 304 from memory: names stay the same from version to
version, so a page never mixes two. Nothing is looked up that was not found below the directory at the start, so no path
leads out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from vigie_contracts.problems import ProblemKind, problem
from vigie_web.compression import CODINGS, MIN_BYTES, accepted_coding
from vigie_web.problems import response

DIRECTORY: Final = Path(__file__).parent / "static"
PAGE: Final = "/"
READING: Final = ("GET", "HEAD")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""What browsers are told that the page needs: its own files and nothing that was written into it. `deploy/proxy` says
the same."""
MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Other files are not served: types and checksums are for those who develop it."""


@dataclass(slots=True)
class _File:
    """A file in memory, as it is and in each coding that somebody asked for."""

    path: Path
    changed: tuple[int, int] = (0, 0)
    bodies: dict[str, bytes] = field(default_factory=dict)
    etag: str = ""

    def body(self, coding: str) -> bytes:
        """Its bytes, read anew when the file has changed. A look costs two microseconds."""
        stat = self.path.stat()
        if (stat.st_mtime_ns, stat.st_size) != self.changed:
            plain = self.path.read_bytes()
            self.changed = (stat.st_mtime_ns, stat.st_size)
            self.bodies = {"": plain}
            self.etag = sha256(plain).hexdigest()[:32]
        if coding not in self.bodies:
            stream = CODINGS[coding]()
            self.bodies[coding] = stream.compress(self.bodies[""]) + stream.flush()
        return self.bodies[coding]


class Site:
    """An ASGI application over a directory. It answers GET and HEAD; whoever mounts it refuses the rest."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._files = {
            f"/{path.relative_to(directory).as_posix()}": _File(path)
            for path in directory.rglob("*")
            if path.suffix in MEDIA and path.name != "index.html"
        } | {PAGE: _File(directory / "index.html")}

    def has(self, path: str) -> bool:
        """Whether there is something at this path."""
        return path in self._files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        file = self._files.get(path)
        if file is None:
            found = problem(ProblemKind.NOT_FOUND, 404, f"There is nothing at {path}.", instance=path)
            await response(found)(scope, receive, send)
            return
        asked = _headers(scope)
        plain = file.body("")
        coding = accepted_coding(asked.get("accept-encoding", "")) if len(plain) >= MIN_BYTES else None
        body = file.body(coding or "")
        etag = f'"{file.etag}{"-" + coding if coding else ""}"'
        headers = {
            "cache-control": "no-cache",
            "etag": etag,
            "vary": "Accept-Encoding",
            **({"content-security-policy": POLICY} if path == PAGE else {}),
        }
        if etag in _etags(asked.get("if-none-match", "")):
            await _send(send, 304, headers, b"")
            return
        headers |= {"content-type": MEDIA[file.path.suffix], "content-length": str(len(body))}
        if coding is not None:
            headers["content-encoding"] = coding
        await _send(send, 200, headers, b"" if scope["method"] == "HEAD" else body)


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _etags(text: str) -> set[str]:
    return {one.strip().removeprefix("W/") for one in text[:1024].split(",")}


async def _send(send: Any, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
