"""Configuration files of Alertmanager: what is taken, what is told to be lost, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vigie_alerting.channels.drafts import checked
from vigie_alerting.inhibition import MAX_INHIBITIONS
from vigie_alerting.routing.checking import Known
from vigie_alerting.routing.importing import receivers
from vigie_alerting.routing.importing.document import Document
from vigie_alerting.routing.importing.judging import alone, inhibitions, judged
from vigie_alerting.routing.importing.reading import Read, read
from vigie_alerting.routing.model import Route
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.errors import InvalidRuleFile
from vigie_alerting.rules.checking import MAX_CHANNELS
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock
from vigie_runtime.yaml_nodes import Mapping, Text
from vigie_storage.alerts.channels import StoredChannel

from tests.kit.cpu import cpu_at_most

ACME = TenantId("acme")
FILE = (Path(__file__).parent / "alertmanager.yml").read_text()


@pytest.fixture(scope="module")
def found() -> Read:
    return read(FILE)


def channels(found: Read, receiver: str) -> list[str]:
    return [one.destination for one in found.tree.receivers[receiver].channels]


def test_the_tree_is_that_of_the_file_with_what_alertmanager_does_by_default(found: Read) -> None:
    assert not [one for one in found.findings if one.error]
    root = found.tree.route
    assert (root.receiver, root.group_by) == ("mails", ["alertname", "cluster"])
    assert (root.group_wait, root.group_interval, root.repeat_interval) == ("30s", "1m", "4h")
    services, owners, databases, info = root.routes
    assert services.routes == [Route(matchers=['severity="critical"'], receiver="pager")]
    assert owners == Route(
        matchers=['owner=~"team-[XY]"'], receiver="hooks", group_by=["..."], continue_=True, mute_times=["nights"],
        active_times=["office hours"],
    )  # fmt: skip
    assert databases == Route(
        matchers=['service="database"', 'env!="test"'], receiver="databases", group_by=[], repeat_interval="1h"
    )
    assert info.receiver == "null"
    assert [leg.receiver for leg in Routes(found.tree).of({"owner": "team-X", "service": "database"})] == [
        "hooks", "databases",
    ]  # fmt: skip


def test_receivers_become_named_channels_with_their_secrets(found: Read) -> None:
    assert {name: channels(found, name) for name in found.tree.receivers} == {
        "mails": ["mails email"],
        "pager": ["pager email", "pager pagerduty"],
        "hooks": ["hooks webhook", "hooks webhook 2"],
        "databases": ["databases slack", "databases opsgenie"],
        "null": [],
        "only chat": [],
    }
    drafts = {name: draft for name, (_, draft) in found.drafts.items()}
    assert drafts["mails email"].destination == "ops@example.org,boss@example.org"
    assert drafts["pager pagerduty"].destination == "pagerduty://secret-of-pagerduty@secret-of-pagerduty"
    assert drafts["hooks webhook"].secrets == {"authorization": "Basic dmlnaWU6c2VjcmV0LW9mLWJhc2lj"}
    assert drafts["hooks webhook 2"].secrets == {"authorization": "Bearer secret-of-bearer"}
    assert str(drafts["databases slack"].destination).endswith("/secret-of-slack")
    assert drafts["databases opsgenie"].destination == "opsgenie://secret-of-opsgenie"


def test_a_webhook_without_a_credential_takes_away_the_one_that_its_channel_had() -> None:
    text = "route: {receiver: a}\nreceivers:\n  - name: a\n    webhook_configs: [{url: 'https://other.example/'}]\n"
    [(_, draft)] = read(text).drafts.values()
    resources: Any = SimpleNamespace(clock=ManualClock(0))
    before = StoredChannel(
        id="c1", tenant=ACME, name="a webhook", type="webhook", destination="https://hooks.example/",
        secrets={"authorization": "Bearer secret"}, version=1, updated=datetime.now(UTC), by="alice",
    )  # fmt: skip
    made = checked(draft, ACME, "alice", resources, before)
    assert (made.destination, made.secrets) == ("https://other.example/", {})


def test_what_is_not_taken_is_listed_with_its_line_and_without_secrets(found: Read) -> None:
    lines = FILE.splitlines()
    told = [(lines[one.line - 1].strip(" -").split(":")[0], one.message.split(":")[0]) for one in found.findings]
    assert told == [
        ("resolve_timeout", "resolve_timeout"),
        ("smtp_smarthost", "smtp_smarthost"),
        ("smtp_auth_password", "smtp_auth_password"),
        ("templates", "templates"),
        ("send_resolved", "send_resolved"),
        ("headers", "headers"),
        ("max_alerts", "max_alerts"),
        ("http_config", "http_config.proxy_url is not taken"),
        ("url_file", "webhook_configs"),
        ("channel", "channel"),
        ("title", "title"),
        ("sns_configs", "sns_configs"),
        ("name", "nothing of the receiver 'only chat' can be taken"),
        ("msteams_configs", "msteams_configs"),
    ]
    assert "secret" not in " ".join(map(str, found.findings)).replace("a secret", "")
    assert "hunter2" not in " ".join(map(str, found.findings))


def test_inhibition_and_times_are_those_of_the_file(found: Read) -> None:
    first, second = found.inhibitions
    assert first.value == {
        "name": "", "source": ['severity="critical"'], "target": ['severity=~"warning|info"'],
        "equal": ["alertname", "cluster"],
    }  # fmt: skip
    assert (second.value["name"], second.value["target"]) == ("site down", ['alertname=~".+"'])
    assert list(found.times) == ["office hours", "nights"]
    assert found.times["nights"].value[0]["location"] == "Europe/Paris"


def test_a_file_by_itself_has_its_routes_and_times_or_every_mistake() -> None:
    routes, times = alone(FILE)
    assert [leg.receiver for leg in routes.of({"severity": "info"})] == ["null"]
    assert list(times) == ["office hours", "nights"]
    with pytest.raises(InvalidRuleFile) as refused:
        alone(FILE.replace("receiver: pager", "receiver: pagr").replace("[nights]", "[nigths]"))
    assert [(one.line, one.message) for one in refused.value.findings] == [
        (18, "route.routes[0].routes[0].receiver: there is no receiver 'pagr'"),
        (20, "route.routes[1].muteTimes: there is no time interval 'nigths'"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "there is no route"),
        ("a: [", 1, "is no YAML"),
        ("- a", 1, "the file must be a mapping"),
        ("route: {receiver: a}\nroutes: []", 2, "routes is not a field of the configuration"),
        ("route:\n  receiver: a\n  matchers: [a=b]", 3, "the root route cannot have matchers"),
        ("route:\n  routes: []", 2, "the root route needs a receiver"),
        ("route:\n  receiver: a\n  group_interval: 0s", 3, "group_interval cannot be zero"),
        ("route:\n  receiver: a\n  routes:\n    - recever: b", 4, "recever is not a field of a route"),
        ("route:\n  receiver: a\n  routes:\n    - matchers: [a]", 4, "must be matchers like"),
        ("route:\n  receiver: a\n  routes: 7", 3, "routes must be a list"),
        ("route: {receiver: a}\nreceivers:\n  - name: a\n  - name: a", 4, "there are two receivers 'a'"),
        ("route: {receiver: a}\nreceivers:\n  - email_configs: []", 3, "a receiver needs a name"),
    ],
)
def test_what_alertmanager_refuses_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    errors = [one for one in read(text).findings if one.error]
    assert errors[0].line == line
    assert message in errors[0].message


@pytest.mark.parametrize(
    ("config", "destination"),
    [
        ("discord_configs: [{webhook_url: 'https://discord.com/api/webhooks/12/to-ken'}]", "discord://12/to-ken"),
        ("telegram_configs: [{bot_token: '12:ab', chat_id: -100}]", "tgram://12:ab/-100"),
        ("pushover_configs: [{user_key: u, token: t}]", "pover://u@t"),
        ("victorops_configs: [{api_key: k, routing_key: r}]", "victorops://r@k"),
        ("webex_configs: [{room_id: r, http_config: {authorization: {credentials: c}}}]", "wxteams://c/r"),
        ("slack_configs: [{api_url_file: /x, channel: '#db'}]", "#db"),
        ("slack_configs: [{api_url: 'https://slack.com/api/chat.postMessage', channel: '#db'}]", None),
        ("slack_configs: [{api_url_file: /x}]", None),
        ("pagerduty_configs: [{service_key: k}]", None),
        ("opsgenie_configs: [{api_key_file: /x}]", None),
        ("telegram_configs: [{bot_token_file: /x, chat_id: 3}]", None),
        ("pushover_configs: [{user_key: u}]", None),
        ("victorops_configs: [{api_key: k}]", None),
        ("discord_configs: [{webhook_url: 'https://example.com/'}]", None),
        ("webhook_configs: [{url: 'https://example.com/{{ .Labels.a }}'}]", None),
        ("jira_configs: [{}]", None),
    ],
)
def test_each_kind_of_receiver_is_a_channel_or_told_to_be_lost(config: str, destination: str | None) -> None:
    found = read(f"route: {{receiver: a}}\nreceivers:\n  - name: a\n    {config}\n")
    assert [draft.destination for _, draft in found.drafts.values()] == ([destination] if destination else [])
    assert destination or found.findings
    assert not [one for one in found.findings if one.error]


def test_expressions_are_tried_only_when_the_file_is_judged() -> None:
    text = "route:\n  receiver: a\n  routes:\n    - receiver: a\n      matchers: ['a=~\"(\"']\n"
    text += "receivers: [{name: a}]\ninhibit_rules:\n  - source_matchers: ['a=~\")\"']\n    target_matchers: [a=b]\n"
    found = read(text)
    assert found.findings == []
    inhibitions(found)
    with pytest.raises(InvalidRuleFile) as refused:
        judged(found.document, found.tree, Known(lambda _: "", (), ()))
    assert [one.line for one in refused.value.findings] == [5, 8]

    def enough() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        inhibitions(found, enough)


def test_more_than_there_may_be_is_refused_before_it_is_looked_at() -> None:
    rules = "inhibit_rules: [" + "{source_matchers: ['a=~\"(\"']}, " * (MAX_INHIBITIONS + 1) + "]"
    errors = [one.message for one in read(f"route: {{receiver: a}}\n{rules}\n").findings]
    assert errors == ["there are 501 of inhibit_rules, at most 500 are taken"]
    with pytest.raises(InvalidRuleFile, match="at most 500 are taken"):
        alone(f"route: {{receiver: a}}\nreceivers: [{{name: a}}]\n{rules}\n")


def test_ten_thousand_channels_have_names_of_their_own_in_no_time() -> None:
    def text(value: str) -> Text:
        made = Text(value)
        made.line, made.tag = 1, "str"
        return made

    def mapping(**fields: Any) -> Mapping:
        made = Mapping(1)
        made.update(fields)
        made.lines = dict.fromkeys(fields, 1)
        return made

    hook = mapping(url=text("https://a.example/"))
    several = [mapping(name=text("?" * number), webhook_configs=[hook] * MAX_CHANNELS) for number in range(1, 501)]
    document = Document()
    with cpu_at_most(2):
        found = receivers.read(document, several, Mapping(1))
    assert len(found.drafts) == 500 * MAX_CHANNELS
    assert list(found.drafts)[-1] == "receiver webhook 10000"
    assert document.findings == []
    too_many = mapping(name=text("a"), webhook_configs=[hook] * 10_000)
    assert len(receivers.read(document, [too_many], Mapping(1)).drafts) == MAX_CHANNELS
    assert [one.message for one in document.findings] == [f"a receiver has at most {MAX_CHANNELS} channels"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("source_matchers: [a=b]", "target_matchers: one at least must ask for a label"),
        ("source_matchers: ['a=~\".*\"']\n    target_matchers: [a=b]", "source_matchers: one at least must ask"),
        (
            f"source_match: {{a: b}}\n    target_match: {{a: c}}\n    equal: {[f'l{n}' for n in range(33)]}",
            "at most 32",
        ),
        ("source_match: {a: b}\n    target_match: {a: c}\n    equal: ['']", "each of 1 to"),
        (f"source_match: {{a: b}}\n    target_match: {{a: c}}\n    name: {'x' * 129}", "1 to 128 printable"),
        ('source_match: {a: b}\n    target_match: {a: c}\n    name: "a\\tb"', "1 to 128 printable"),
    ],
)
def test_an_inhibition_is_judged_as_one_that_is_sent_by_itself(rule: str, message: str) -> None:
    with pytest.raises(InvalidRuleFile) as refused:
        alone(f"route: {{receiver: a}}\nreceivers: [{{name: a}}]\ninhibit_rules:\n  - {rule}\n")
    ((line, told),) = [(one.line, one.message) for one in refused.value.findings]
    assert line == 4
    assert message in told


def test_names_are_stored_as_the_api_stores_them_and_routes_go_by_them() -> None:
    text = "route:\n  receiver: a\n  routes: [{{mute_time_intervals: ['{0}']}}]\nreceivers: [{{name: a}}]\n"
    text += "time_intervals: [{{name: '{0}', time_intervals: [{{weekdays: [monday]}}]}}]\n"
    text += "inhibit_rules: [{{name: '{0}', source_match: {{a: b}}, target_match: {{a: c}}, equal: [x, x]}}]\n"
    text = text.format(" e\u0301te\u0301 ")
    _, times = alone(text)
    assert list(times) == ["\u00e9t\u00e9"]
    [(name, (_, rule))] = inhibitions(read(text)).items()
    assert (name, rule.equal) == ("\u00e9t\u00e9", ("x",))
    with pytest.raises(InvalidRuleFile, match="1 to 128 printable characters"):
        alone(text.replace(" e\u0301te\u0301 ", "x" * 129))


def test_names_of_channels_are_such_as_channels_may_have() -> None:
    receivers = "".join(
        f"  - name: {name!r}\n    webhook_configs: [{{url: 'https://a.example/'}}]\n"
        for name in ("équipe/nord", "équipe:nord", "x" * 200, "...")
    )
    found = read(f"route: {{receiver: '...'}}\nreceivers:\n{receivers}")
    assert list(found.drafts) == [
        "quipe-nord webhook",
        "quipe-nord webhook 2",
        "x" * 51 + " webhook",
        "receiver webhook",
    ]
