"""Documentation is true where a script can tell: paths, recipes, commands, names and errors exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from vigie_api.dashboard import charts
from vigie_contracts import events, names, topics
from vigie_contracts.problems import ProblemKind
from vigie_contracts.targets import HEARTBEAT
from vigie_healthcheck.probes import registry
from vigie_push import messages
from vigie_push import metrics as push_metrics
from vigie_push.channels.names import ChannelName
from vigie_push.socketio.events import EVENTS
from vigie_query import functions
from vigie_standalone import cli
from vigie_storage import collections
from vigie_web.close_codes import CloseCode

from tests.project.repo import ROOT, parsed, text
from tools.lints import imports
from tools.lints.source import sources

TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCUMENTS = sorted([*TOP, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))])
DIRECTORIES = "libs|services|standalone|tests|tools|docs|deploy"
DECISIONS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def without_blocks(content: str) -> str:
    return re.sub(r"^```.*?^```", "", content, flags=re.MULTILINE | re.DOTALL)


def anchors(content: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(content), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: str) -> Iterator[tuple[Path, str]]:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text(document))):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (ROOT / document).parent / path if path else ROOT / document, anchor


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for path, anchor in links(document):
        assert path.exists(), f"{document} links to {path}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{document} links to {path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_exists(document: str) -> None:
    for path in re.findall(rf"`((?:{DIRECTORIES})/[\w./*-]*)`", text(document)):
        assert list(ROOT.glob(path.rstrip("/"))), f"{document} names {path}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_recipe_and_command_that_is_named_exists(document: str) -> None:
    recipes = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    commands = {c.name or c.callback.__name__ for c in cli.app.registered_commands if c.callback}
    commands |= {group.name for group in cli.app.registered_groups if group.name}
    content = text(document)
    code = "\n".join(
        [*re.findall(r"^```.*?^```", content, re.MULTILINE | re.DOTALL), *re.findall(r"`[^`\n]+`", content)]
    )
    assert set(re.findall(r"(?:^|[`$] ?)make ([a-z-]+)", code, re.MULTILINE)) <= recipes
    assert set(re.findall(r"(?:^|[`$] ?)(?:\.venv/bin/)?vigie ([a-z]+)", code, re.MULTILINE)) <= commands


def test_readme_shows_the_two_commands() -> None:
    assert "make up" in text("README.md")
    assert "make test" in text("README.md")


def test_every_document_can_be_reached() -> None:
    reached = {path.resolve() for document in DOCUMENTS for path, _ in links(document)}
    lost = [name for name in DOCUMENTS if (ROOT / name).resolve() not in reached and name != "README.md"]
    assert not lost


def test_every_problem_type_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| `/problems/([a-z-]+)`", text("docs/errors.md"), re.MULTILINE)
    assert sorted(explained) == sorted(ProblemKind)


def test_every_known_metric_name_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `([a-z_0-9]+)`", text("docs/metrics-names.md"), re.MULTILINE)
    assert sorted(documented) == sorted(
        [*names.BUSINESS, *names.APPLICATION, *names.SYSTEM, *names.NODE, *names.APPS, *names.HOSTS, *names.HEALTH]
    )


def test_every_event_type_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `([a-z]+\.[a-z]+)`", text("docs/api/ingest.md"), re.MULTILINE)
    assert sorted(documented) == sorted(events.EVENT_DATA)


def test_every_function_and_chart_is_documented_and_no_other() -> None:
    content = text("docs/api/reads.md")
    rows = re.findall(r"^\| ((?:`[a-z0-9]+` ?)+)\|", content, re.MULTILINE)
    assert sorted(re.findall(r"`([a-z0-9]+)`", " ".join(rows))) == sorted(functions.Function)
    [listed] = re.findall(r"^Charts: (.*)\.$", content, re.MULTILINE)
    assert sorted(re.findall(r"`([a-z-]+)`", listed)) == sorted(charts.CHARTS)


def test_every_kind_of_target_is_documented_with_its_options_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| [^|]*\| [^|]*\| ([^|]*)\|$", text("docs/health.md"), re.MULTILINE)
    documented = {kind: set(re.findall(r"`(\w+)`", options)) for kind, options in rows}
    assert documented == {**registry.OPTIONS, HEARTBEAT: set()}
    assert set(registry.PROBES) == set(registry.OPTIONS)


def test_every_topic_and_collection_is_in_the_architecture() -> None:
    content, stored = text("docs/architecture.md"), set[str]()
    assert set(re.findall(r"^\| `(vigie\.[a-z]+\.v\d)`", content, re.MULTILINE)) == {t.name for t in topics.TOPICS}
    for line in re.findall(r"^\| MongoDB (.*?) \|", content, re.MULTILINE):
        stored |= set(re.findall(r"`([a-z_0-9]+)`", line))
    assert stored == {about.name for about in collections.ALL}


def test_every_class_of_the_words_exists() -> None:
    words = text("docs/architecture.md").partition("## Words")[2].partition("## The way of a sample")[0]
    classes = {
        name
        for source in sources(ROOT)
        if source.is_packaged
        for name in re.findall(r"^class (\w+)", source.text, re.MULTILINE)
    }
    assert set(re.findall(r"`([A-Z]\w*[a-z])`", words)) <= classes


def test_layout_says_which_of_our_packages_each_library_imports() -> None:
    layout = text("docs/architecture.md").partition("## Layout")[2]
    for package, allowed in imports.LIBRARIES.items():
        [row] = re.findall(rf"^libs/{package.removeprefix('vigie_')} .*", layout, re.MULTILINE)
        said = set(re.split(r",? ", re.split(r"  +", row)[-1]))
        names = {name.removeprefix("vigie_") for name in imports.LIBRARIES}
        assert said & names == {name.removeprefix("vigie_") for name in allowed}, row


def test_decision_records_are_numbered_complete_and_listed() -> None:
    assert [int(name[:4]) for name in DECISIONS] == list(range(len(DECISIONS)))
    index = text("docs/decisions/README.md")
    for name in DECISIONS:
        headings = re.findall(r"^## (.+)$", text(f"docs/decisions/{name}"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
        assert f"({name})" in index


def test_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in text("CHANGELOG.md")


def test_hooks_and_continuous_integration_call_recipes_that_exist() -> None:
    recipes = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    hooks = [hook for repo in parsed(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["entry"].removeprefix("make ") for hook in hooks} <= recipes
    assert text(".ci/run").rstrip().endswith("exec make test")


def test_live_explains_every_channel_code_and_message_and_no_other() -> None:
    content = text("docs/live.md")
    rows = re.findall(
        r"^\| ((?:`[a-z]+`,? ?)+)\|", content.partition("## Channels")[2].partition("## WebSocket")[0], re.MULTILINE
    )
    assert {*re.findall(r"`([a-z]+)`", " ".join(rows))} - {"channel", "subscription", "seq", "cursor"} == set(
        ChannelName
    )
    assert [int(code) for code in re.findall(r"^\| (\d{4}) \|", content, re.MULTILINE)] == sorted(CloseCode)
    for type_ in (*get_args(messages.Incoming), *get_args(messages.Answer)):
        assert re.search(rf"[`\"]{messages.type_of(type_)}[`\"]", content), type_
    for event in EVENTS:
        assert f"`{event.event}`" in content
    for metric in (one.name for one in push_metrics.ALL if one.name.startswith("kpi_")):
        assert f"`{metric}`" in content
