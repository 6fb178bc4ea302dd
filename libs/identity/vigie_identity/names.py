"""Names and ids: what is usable as one, and new ones."""

from __future__ import annotations

import itertools
import secrets
import unicodedata
from typing import Final

from vigie_contracts import tenants
from vigie_contracts.apps import APP_ID, APP_ID_RULE
from vigie_contracts.series import InvalidSeriesError, validate_tenant
from vigie_contracts.tenants import TenantId

from vigie_identity.errors import InvalidField

MAX_NAME_CHARS: Final = 128
_sequence: Final = itertools.count()
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing that reads like something else


def tenant_id(text: str) -> TenantId:
    """Return the text as a tenant id, in its canonical form. Raises InvalidField unless it is usable as one."""
    try:
        validate_tenant(text)
    except InvalidSeriesError as e:
        raise InvalidField("tenant", e.reason) from None
    return tenants.tenant_id(text) or TenantId(text)


def display_name(field: str, text: str) -> str:
    """The name of a person, tenant or key, trimmed and in Unicode's composed form. Raises InvalidField."""
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidField(field, f"must have 1 to {MAX_NAME_CHARS} printable characters")
    return name


def name_key(name: str) -> str:
    """Two names with the same key are the same name: neither case nor the form of a character tells people apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def app_or_site(field: str, text: str) -> str:
    """The id of an app or a site. Raises InvalidField."""
    if not APP_ID.match(text):
        raise InvalidField(field, APP_ID_RULE)
    return text


def new_id(characters: int = 20) -> str:
    """A random id: 5 bits per character."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))


def new_ordered_id(now_ms: int) -> str:
    """An id that sorts by time, and within a millisecond by the order in which this process made them."""
    return f"{now_ms:012x}{next(_sequence) % (1 << 24):06x}{secrets.token_hex(8)}"


def new_secret() -> str:
    """256 random bits, hardly fewer, as 43 characters that a shell or a URL leaves alone; a `-` in front would be an
    option to a command."""
    while (secret := secrets.token_urlsafe(32)).startswith("-"):
        continue
    return secret
