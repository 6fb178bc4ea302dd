"""What is secret of a target, as it travels in `Target.sealed`: encrypted, or JSON where there is no key."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_contracts.targets import Secrets, Target
from vigie_runtime.errors import VigieError

from vigie_storage.sealing import Sealing


class SecretsUnreadable(VigieError):  # noqa: N818 - named after what is wrong
    """They are encrypted with a key that is not here."""

    def __init__(self) -> None:
        super().__init__(
            "the secrets of the target are encrypted with a key that is not among VIGIE_ENCRYPTION_KEYS: set that key "
            "too, or give them anew"
        )


class _Sealed(msgspec.Struct):
    of: str
    secrets: Secrets


_EMPTY: Final = Secrets()
_clear: Final = msgspec.json.Decoder(Secrets)
_sealed: Final = msgspec.json.Decoder(_Sealed)


def sealed(secrets: Secrets, target: Target, sealing: Sealing) -> str:
    """The secrets as `Target.sealed` of this target has them."""
    if secrets == _EMPTY:
        return ""
    if not sealing.key_id:
        return msgspec.json.encode(secrets).decode()
    return sealing.seal(msgspec.json.encode(_Sealed(_of(target), secrets))).decode()


def opened(target: Target, sealing: Sealing) -> Secrets:
    """The secrets of a target. Raises SecretsUnreadable."""
    if not target.sealed:
        return Secrets()
    try:
        if target.sealed.startswith("{"):  # from before there was a key
            return _clear.decode(target.sealed)
        text = sealing.open(target.sealed.encode())
        found = None if text is None else _sealed.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        found = None
    if found is None or found.of != _of(target):  # another one's, put in its place
        raise SecretsUnreadable
    return found.secrets


def _of(target: Target) -> str:
    return f"{target.tenant}/{target.id}"
