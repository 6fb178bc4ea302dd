"""Secrets of the home directory: made once, for their owner only, and only when the operator gave none."""

from pathlib import Path

import pytest
from vigie_standalone.home import Home
from vigie_standalone.secrets import variables


def test_secret_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = variables(home, {})
    path = Path(made["VIGIE_JWT_SECRET_FILE"])
    secret = path.read_text()
    assert len(secret.strip()) >= 64
    assert path.is_relative_to(home.directory)
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.secrets.stat().st_mode & 0o777 == 0o700
    home.secrets.chmod(0o755)
    assert variables(home, {}) == made
    assert path.read_text() == secret
    assert home.secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("variable", ["VIGIE_JWT_SECRET", "VIGIE_JWT_SECRET_FILE"])
def test_secret_of_the_operator_is_left_alone(tmp_path: Path, variable: str) -> None:
    home = Home(tmp_path)
    assert variables(home, {variable: "given"}) == {}
    assert not home.secrets.exists()


def test_two_homes_have_two_secrets_and_a_reset_forgets_them(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    for home in (one, other):
        home.claim()
    secrets = {Path(variables(home, {})["VIGIE_JWT_SECRET_FILE"]).read_text() for home in (one, other)}
    assert len(secrets) == 2
    one.reset()
    assert not one.secrets.exists()
    for home in (one, other):
        home.release()
