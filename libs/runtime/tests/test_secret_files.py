"""Secrets from files: read when they are usable, else the process ends with what to do and shows nothing of them."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest
from vigie_runtime.settings import Settings, load


@pytest.fixture
def uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that MONGODB_URI_FILE names; it does not exist yet."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("REDIS_URL", "redis://r")
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.setenv("MONGODB_URI_FILE", str(tmp_path / "uri"))
    return tmp_path / "uri"


def refused() -> str:
    """What a process that does not start says on stderr."""
    with pytest.raises(SystemExit) as ended, redirect_stderr(StringIO()) as said:
        load(Settings)
    assert ended.value.code == 2
    assert "MONGODB_URI" in said.getvalue()
    return said.getvalue()


def test_secrets_come_from_the_files_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: Path
) -> None:
    uri.write_text("mongodb://u:hunter2@file/?replicaSet=rs0\n")
    (tmp_path / "password").write_bytes(b" two\nlines \r\n")
    monkeypatch.delenv("VIGIE_KAFKA_SASL_PASSWORD", raising=False)  # that of the tests' own Kafka
    monkeypatch.setenv("VIGIE_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    settings = load(Settings)
    assert settings.mongodb_uri == "mongodb://u:hunter2@file/?replicaSet=rs0"
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == " two\nlines "
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "longer than"),
        (b"hunter2", "not usable"),
    ],
)
def test_a_file_that_is_not_usable_ends_the_process(uri: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        uri.write_bytes(content)
    said = refused()
    assert sentence in said
    assert "hunter2" not in said


def test_a_secret_that_is_given_twice_ends_the_process(monkeypatch: pytest.MonkeyPatch, uri: Path) -> None:
    uri.write_text("mongodb://file")
    monkeypatch.setenv("MONGODB_URI", "mongodb://environment")
    assert "not both" in refused()


def test_what_is_no_secret_is_not_read_from_files(monkeypatch: pytest.MonkeyPatch, uri: Path) -> None:
    uri.write_text("mongodb://file")
    monkeypatch.setenv("VIGIE_MONGODB_DATABASE_FILE", "/etc/hostname")
    assert load(Settings).mongodb_database == "vigie"
