"""Every language has the same words, and every word is used."""

import re
from pathlib import Path

import pytest
from vigie_dashboard.site import DIRECTORY

ASSETS = DIRECTORY / "assets"
LANGUAGES = {path.stem: path for path in (ASSETS / "lang").glob("*.js")}
KEY = re.compile(r'^  "([^"]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
CODE = "\n".join(
    path.read_text(encoding="utf-8") for path in ASSETS.rglob("*.js") if not {"vendor", "lang"} & set(path.parts)
)
PLURAL = re.compile(r"\.(?:one|other)\Z")


def words(path: Path) -> dict[str, str]:
    found = KEY.findall(path.read_text(encoding="utf-8"))
    assert len(found) == len(dict(found)), f"{path.name} has a key twice"
    assert len(found) == path.read_text(encoding="utf-8").count('": "'), f"{path.name} has a line that is no key"
    return dict(found)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_the_same_keys_and_places(language: str) -> None:
    own, english = words(LANGUAGES[language]), words(LANGUAGES["en"])
    assert set(own) == set(english)
    for key, text in own.items():
        if not key.endswith(".one"):
            assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", english[key])), key


def asked() -> tuple[set[str], set[str]]:
    """Keys that the code names, whole; and the beginnings of those that it puts together."""
    whole = set(re.findall(r'"([a-z][\w-]*(?:\.[^"\s{}]+)+)"', CODE))
    begun = set(re.findall(r"\bt\(`([\w./-]+?)\$\{", CODE))
    return whole, begun | {"severity.", "state."}  # of the badge


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    known = {PLURAL.sub("", key) for key in words(LANGUAGES["en"])}
    whole, begun = asked()
    unused = {key for key in known if key not in whole and not key.startswith(tuple(begun))}
    assert not {key for key in unused if not key.startswith("about.")}
    missing = set(re.findall(r'\bt\("([^"]+)"', CODE)) - known
    assert not missing


def test_every_page_has_a_title() -> None:
    known = words(LANGUAGES["en"])
    for title in re.findall(r'title: "([^"]+)"', (ASSETS / "pages.js").read_text(encoding="utf-8")):
        assert title in known
