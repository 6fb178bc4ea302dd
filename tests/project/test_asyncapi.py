"""The documents of topics and of live channels are valid AsyncAPI, complete, and what the code says."""

import re
from typing import Any, get_args

import jsonschema
import pytest
from vigie_contracts.topics import TOPICS, Topic
from vigie_push import messages
from vigie_push.channels.names import ChannelName
from vigie_push.socketio.events import EVENTS

from tests.project.repo import parsed, text
from tools import asyncapi

DOCUMENT, LIVE = parsed(asyncapi.ASYNCAPI), parsed(asyncapi.LIVE)


def resolved(reference: str, document: Any = DOCUMENT) -> Any:
    found: Any = document
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


@pytest.mark.parametrize("document", [DOCUMENT, LIVE], ids=["topics", "live"])
def test_document_is_valid_and_every_reference_leads_somewhere(document: Any) -> None:
    jsonschema.Draft7Validator(parsed("tests/project/asyncapi-3.0.0.schema.json")).validate(document)
    found = references(document)
    assert len(found) > len(TOPICS)
    for reference in found:
        assert resolved(reference, document)


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


def test_every_live_message_is_in_the_document() -> None:
    told = {key for channel in LIVE["channels"].values() for key in channel["messages"]}
    assert {type_.__name__ for type_ in (*get_args(messages.Incoming), *get_args(messages.Answer))} <= told
    assert {event.event for event in EVENTS} == LIVE["channels"]["socketio"]["messages"].keys()
    served = {name.value for name in ChannelName}
    assert served == LIVE["channels"].keys() - {"websocket", "stream", "socketio"}
    for name in served:
        for message in LIVE["channels"][name]["messages"]:
            assert message in LIVE["channels"]["stream"]["messages"]


def test_what_clients_send_is_received_and_the_rest_is_sent() -> None:
    [received] = [one for one in LIVE["operations"].values() if one["action"] == "receive"]
    names = {resolved(one["$ref"], LIVE)["name"] for one in received["messages"]}
    assert names == {"subscribe", "unsubscribe", "auth", "ping", "metrics", "commandResult"}


def test_the_page_shows_both_and_loads_nothing() -> None:
    page = text(asyncapi.PAGE)
    for document in (DOCUMENT, LIVE):
        for channel in document["channels"].values():
            assert f"<code>{channel['address']}</code>" in page
    assert not re.search(r"<script|<link|<img|src=|@import|https?://", page)
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
