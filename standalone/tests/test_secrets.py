"""Secrets of the home directory: made once, for their owner only, and only when the operator gave none."""

from pathlib import Path

import pytest
from vigie_standalone.home import Home
from vigie_standalone.secrets import ENCRYPTION_KEYS, JWT_SECRET, MADE, variables
from vigie_storage.sealing import parse_keys


@pytest.mark.parametrize("variable", MADE)
def test_secret_is_made_once_and_nobody_else_may_read_it(tmp_path: Path, variable: str) -> None:
    home = Home(tmp_path)
    made = variables(home, variable, environment={})
    path = Path(made[f"{variable}_FILE"])
    secret = path.read_text()
    assert len(secret.strip()) >= 64
    assert path.is_relative_to(home.directory)
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.secrets.stat().st_mode & 0o777 == 0o700
    home.secrets.chmod(0o755)
    assert variables(home, variable, environment={}) == made
    assert path.read_text() == secret
    assert home.secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("variable", [f"{name}{end}" for name in MADE for end in ("", "_FILE")])
def test_secret_of_the_operator_is_left_alone(tmp_path: Path, variable: str) -> None:
    home = Home(tmp_path)
    assert variables(home, variable.removesuffix("_FILE"), environment={variable: "given"}) == {}
    assert not home.secrets.exists()
    others = [f"{name}_FILE" for name in MADE if not variable.startswith(name)]
    assert list(variables(home, *MADE, environment={variable: "given"})) == others


@pytest.mark.parametrize("variable", ["VIGIE_CHANNEL_KEYS", "VIGIE_CHANNEL_KEYS_FILE"])
def test_keys_by_their_old_name_are_the_operators_too(tmp_path: Path, variable: str) -> None:
    assert variables(Home(tmp_path), ENCRYPTION_KEYS, environment={variable: "given"}) == {}


def test_the_key_of_channels_is_one_that_alerting_takes(tmp_path: Path) -> None:
    path = variables(Home(tmp_path), ENCRYPTION_KEYS, environment={})[f"{ENCRYPTION_KEYS}_FILE"]
    assert len(parse_keys(Path(path).read_text())) == 1


def test_two_homes_have_two_secrets_and_a_reset_forgets_them(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    for home in (one, other):
        home.claim()
    made = [variables(home, JWT_SECRET, environment={})[f"{JWT_SECRET}_FILE"] for home in (one, other)]
    assert len({Path(path).read_text() for path in made}) == 2
    one.reset()
    assert not one.secrets.exists()
    for home in (one, other):
        home.release()
