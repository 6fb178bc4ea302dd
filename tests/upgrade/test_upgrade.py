"""What the upgrade test stands on: the release that it names, and the comparison of answers."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade import base
from tests.upgrade.base import BaseNotFoundError, commit, install
from tests.upgrade.reads import missing


def test_the_last_release_is_one_whole_commit() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", commit())


def test_a_release_that_is_not_in_the_repository_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "BASE"
    nowhere.write_text("# a comment\n" + "0" * 40 + "\n", encoding="utf-8")
    monkeypatch.setattr(base, "BASE", nowhere)
    with pytest.raises(BaseNotFoundError, match="0" * 40):
        install(tmp_path / "base")


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ({"a": 1, "b": [{"c": 2}]}, {"a": 1, "b": [{"c": 2, "d": 3}], "e": 4}, []),
        ({"timestamp": 1, "lastCheck": 2, "health": "ok"}, {"timestamp": 3}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [".a.b: 1"]),
        ({"a": {"b": 1}}, {"a": {}}, [".a.b: 1"]),
        ({"a": [1, 2]}, {"a": [1]}, [".a: [1, 2]"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [".a[1]: 2"]),
        ({"a": 1}, {"a": "1"}, [".a: 1"]),
    ],
)
def test_what_was_read_must_still_be_found_and_more_may_be(old: Any, new: Any, places: list[str]) -> None:
    assert [place for place, _ in missing(old, new)] == places
