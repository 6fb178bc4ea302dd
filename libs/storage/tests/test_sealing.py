"""Secrets that are stored encrypted."""

import pytest
from pydantic import SecretStr, ValidationError
from vigie_storage.sealing import Sealing, parse_keys
from vigie_storage.settings import SealingSettings

NEW, OLD = "ab" * 32, "CD" * 32


def test_any_of_the_keys_opens_and_the_first_one_seals() -> None:
    old, both, new = Sealing([OLD]), Sealing([NEW, OLD]), Sealing([NEW])
    sealed = old.seal(b"hunter2")
    assert b"hunter2" not in sealed
    assert both.open(sealed) == b"hunter2"
    assert new.open(sealed) is None
    assert new.open(both.seal(b"hunter2")) == b"hunter2"
    assert both.key_id == new.key_id != old.key_id


def test_what_was_changed_is_not_opened() -> None:
    one = Sealing([NEW])
    sealed = one.seal(b"hunter2")
    assert one.open(sealed[:-5] + b"AAAAA") is None
    assert one.open(b"hunter2") is None
    assert sealed != one.seal(b"hunter2"), "the same text twice looks different"


def test_without_a_key_nothing_is_sealed_or_opened() -> None:
    assert (Sealing().key_id, Sealing().open(Sealing([NEW]).seal(b"x"))) == ("", None)
    with pytest.raises(ValueError, match="no key"):
        Sealing().seal(b"x")


def test_keys_are_separated_by_commas_or_lines() -> None:
    assert parse_keys(f"{NEW},{OLD}") == parse_keys(f" {NEW}\n{OLD}\n") == [NEW, OLD]
    assert parse_keys("") == []


@pytest.mark.parametrize("text", ["short", f"{NEW},{OLD}x", f"{NEW}{OLD}"])
def test_a_key_that_is_none_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"key \d must have 64 hexadecimal digits") as refused:
        parse_keys(text)
    assert text not in str(refused.value)


def test_keys_of_the_old_name_go_on_working_and_the_new_name_is_first() -> None:
    servers = {"kafka_bootstrap_servers": "k:1", "mongodb_uri": "mongodb://m", "redis_url": "redis://r"}
    old, new = "a" * 64, "b" * 64
    before = SealingSettings(**servers, channel_keys=SecretStr(old)).sealing
    both = SealingSettings(**servers, channel_keys=SecretStr(old), encryption_keys=SecretStr(new)).sealing
    assert both.key_id == Sealing([new]).key_id
    assert both.open(before.seal(b"text")) == b"text"
    assert not SealingSettings(**servers).sealing.key_id
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        SealingSettings(**servers, encryption_keys=SecretStr("short"))
