"""The settings of identity: secrets stay secret, and what does not fit is refused with a sentence."""

from typing import Any

import pytest
from pydantic import ValidationError
from vigie_identity.anonymous import AnonymousAccess
from vigie_identity.settings import IdentitySettings
from vigie_runtime.settings import explain, load

SERVERS: dict[str, Any] = {
    "kafka_bootstrap_servers": "a:1", "mongodb_uri": "mongodb://m", "redis_url": "redis://r",
}  # fmt: skip
SECRET = "s3cret-" * 6


def made(**more: Any) -> IdentitySettings:
    return IdentitySettings(**SERVERS, **more)


def test_nothing_but_telemetry_is_allowed_without_a_credential_unless_said_otherwise() -> None:
    assert made().anonymous_rule.rights == {AnonymousAccess.TELEMETRY}
    assert made(anonymous="default: read,write").anonymous_rule.tenant == "default"


def test_secrets_come_from_files_and_are_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "a:1",
        "MONGODB_URI": "mongodb://m",
        "REDIS_URL": "redis://r",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "shared").write_text("shared-" + SECRET)
    for name, file in (("JWT_SECRET", "secret"), ("JWT_SHARED_SECRET", "shared"), ("ADMIN_PASSWORD", "secret")):
        monkeypatch.setenv(f"VIGIE_{name}_FILE", str(tmp_path / file))
    monkeypatch.setenv("VIGIE_JWT_SHARED_ISSUER", "partner")
    settings = load(IdentitySettings)
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"jwt_secret": "short-s3cret"},
        {"jwt_shared_secret": "é" * 15, "jwt_shared_issuer": "p"},
        {"jwt_shared_secret": SECRET},
        {"jwt_shared_issuer": "partner"},
        {"jwt_jwks_url": "https://idp/jwks"},
        {"jwt_jwks_url": "http://idp/jwks", "jwt_jwks_issuer": "idp"},
        {"jwt_jwks_url": "file:///etc/passwd", "jwt_jwks_issuer": "idp"},
        {"jwt_jwks_url": "https://", "jwt_jwks_issuer": "idp"},
        {"jwt_jwks_algorithms": "HS256"},
        {"jwt_jwks_algorithms": "RS256,none"},
        {"jwt_jwks_algorithms": ""},
        {"jwt_shared_secret": SECRET, "jwt_shared_issuer": "vigie"},
        {"jwt_secret": SECRET, "jwt_shared_secret": SECRET, "jwt_shared_issuer": "partner"},
        {"jwt_jwks_url": "https://idp", "jwt_jwks_issuer": "vigie"},
        {"anonymous": "everything"},
        {"admin_password": "s3cret"},
        {"jwt_skew_s": 3_600},
        {"session_idle_s": 86_400, "session_s": 3_600},
    ],
)
def test_what_does_not_fit_is_refused_without_showing_it(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**wrong)
    sentences = "\n".join(explain(IdentitySettings, caught.value))
    assert "VIGIE_" in sentences or "issuer" in sentences
    assert "s3cret" not in sentences


def test_an_empty_password_is_none() -> None:
    assert made(admin_password="").admin_password is None


@pytest.mark.parametrize("url", ["https://idp.example/keys", "http://127.0.0.1:9/keys", "http://[::1]:9/keys"])
def test_keys_come_by_https_or_from_this_machine(url: str) -> None:
    assert made(jwt_jwks_url=url, jwt_jwks_issuer="idp").jwt_jwks_url == url
