"""The document of the topics is valid AsyncAPI, complete, and what the contracts say."""

from typing import Any

import jsonschema
import pytest
from vigie_contracts.topics import TOPICS, Topic

from tests.project.repo import parsed, text
from tools import asyncapi

DOCUMENT = parsed(asyncapi.ASYNCAPI)


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(part: Any) -> list[str]:
    match part:
        case {"$ref": str(reference)}:
            return [reference]
        case dict():
            return [reference for value in part.values() for reference in references(value)]
        case list():
            return [reference for value in part for reference in references(value)]
        case _:
            return []


@pytest.mark.parametrize("path", asyncapi.files())
def test_committed_file_is_what_is_generated(path: str) -> None:
    assert text(path) == asyncapi.files()[path], "run make docs"


def test_document_is_valid_and_every_reference_leads_somewhere() -> None:
    jsonschema.Draft7Validator(parsed("tests/project/asyncapi-3.0.0.schema.json")).validate(DOCUMENT)
    found = references(DOCUMENT)
    assert len(found) > len(TOPICS)
    for reference in found:
        assert resolved(reference)


@pytest.mark.parametrize("change", ["asyncapi", "info", "operations"])
def test_broken_document_is_noticed(change: str) -> None:
    schema = parsed("tests/project/asyncapi-3.0.0.schema.json")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**DOCUMENT, change: {"x": 1}})


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.word)
def test_every_topic_has_its_key_its_value_its_writers_and_its_readers(topic: Topic) -> None:
    [channel] = [one for one in DOCUMENT["channels"].values() if one["address"] == topic.name]
    [message] = channel["messages"].values()
    assert message["bindings"]["kafka"]["key"]["description"] == topic.key
    assert message["payload"]
    assert message["description"]
    operations = [one for one in DOCUMENT["operations"].values() if resolved(one["channel"]["$ref"]) is channel]
    for action, services in (("send", topic.written_by), ("receive", topic.read_by)):
        titles = [one["title"] for one in operations if one["action"] == action]
        assert titles == [service.strip("`") for service in services]


def test_every_message_of_json_has_a_schema() -> None:
    assert {"Report", "Check", "Rule", "Transition"} <= DOCUMENT["components"]["schemas"].keys()
