"""Every setting is documented: docs/settings.md is what the settings classes say, and each of them says something."""

import re

import pytest
from vigie_agent import settings as agent

from tests.project.repo import SERVICES, text
from tests.project.test_docs import DOCUMENTS
from tools import settings

NAMED = re.compile(r"\b(?:VIGIE_[A-Z0-9_]+|KAFKA_BOOTSTRAP_SERVERS|MONGODB_URI|REDIS_URL)\b")


def test_page_is_what_the_settings_classes_say() -> None:
    assert text("docs/settings.md") == settings.page(settings.services()), "docs/settings.md differs: run make docs"


def test_every_service_has_its_settings_on_the_page() -> None:
    assert set(settings.services()) == set(SERVICES)


def test_every_setting_says_what_it_means() -> None:
    assert [row.variable for row in settings.rows(settings.services()) if not row.meaning] == []


def test_every_setting_of_the_agent_is_on_the_page_and_says_what_it_means() -> None:
    rows = settings.agent_rows()
    assert len(rows) == len(agent.AgentSettings.__struct_fields__)
    assert not any(row.endswith("|  |") for row in rows)


def test_a_setting_that_two_services_describe_differently_is_found() -> None:
    variables = [row.variable for row in settings.rows(settings.services())]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("document", [*DOCUMENTS, "docker-compose.yml", "Makefile"])
def test_every_variable_that_is_named_is_on_the_page(document: str) -> None:
    known = set(NAMED.findall(text("docs/settings.md")))
    unknown = set(NAMED.findall(text(document))) - known - {f"{name}_FILE" for name in known}
    assert unknown == set(), f"{document} names settings that nobody reads"
