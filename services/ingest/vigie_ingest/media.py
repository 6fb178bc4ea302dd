"""Content types of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vigie_contracts.problems import shortened

from vigie_ingest.errors import UnsupportedMediaError

JSON: Final = "application/json"
NO_TYPE: Final = "Content-Type: is missing"
_PLAIN: Final = b"application/json"


def media_type(headers: Mapping[bytes, bytes], accepted: str) -> str | None:
    """The media type in lower case, without its parameters; None when there is none.

    Raises UnsupportedMediaError for a charset but UTF-8. A protocol that tells its versions by another parameter, as
    `proto=`, has to look at that itself."""
    given = headers.get(b"content-type")
    if given is None:
        return None
    if given == _PLAIN:
        return JSON
    media, *parameters = given.decode("latin-1").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaError(f"Content-Type: the charset {value.strip()[:40]} is not supported", accepted)
    return shortened(media.strip()) or None


def is_json(media: str) -> bool:
    """Whether a media type says JSON: `application/json`, `text/json`, `application/<anything>+json`."""
    return media in (JSON, "text/json") or (media.startswith("application/") and media.endswith("+json"))


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaError unless the request says that its body is JSON. A web page of somebody else's can
    send a body that says nothing without asking; it cannot send one that says this."""
    if headers.get(b"content-type") == _PLAIN:  # as nearly always
        return
    media = media_type(headers, JSON)
    if media is None:
        raise UnsupportedMediaError(NO_TYPE, JSON)
    if not is_json(media):
        raise UnsupportedMediaError(f"Content-Type: {media} is not supported", JSON)
