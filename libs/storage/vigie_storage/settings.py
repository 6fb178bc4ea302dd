"""Settings of a service that stores secrets of tenants."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from vigie_runtime.settings import Settings

from vigie_storage.sealing import Sealing, parse_keys


class SealingSettings(Settings):
    """Alike in all services: what one encrypts, another may have to read."""

    encryption_keys: SecretStr | None = Field(
        default=None,
        description="keys that secrets of channels and of health targets are encrypted with, 64 hexadecimal digits "
        "each, comma-separated: the first encrypts, each reads. Unset: they are stored in the clear",
    )
    channel_keys: SecretStr | None = Field(
        default=None,
        description="the same, by its name from before there were health targets; counts after VIGIE_ENCRYPTION_KEYS",
    )

    @property
    def sealing(self) -> Sealing:
        """With the keys of both names."""
        given = (self.encryption_keys, self.channel_keys)
        return Sealing([key for text in given if text for key in parse_keys(text.get_secret_value())])

    @field_validator("encryption_keys", "channel_keys")
    @classmethod
    def _usable_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            parse_keys(keys.get_secret_value())
        return keys
