"""Every channel with every role, as the route walk does: who may subscribe, and to what of which tenant."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing, Forbidden, NotFound
from vigie_identity.permissions import PLATFORM_WIDE, Permission, Role, Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push.channels import registry
from vigie_push.channels.base import Parameters
from vigie_push.channels.names import ChannelName
from vigie_push.channels.resources import ChannelResources
from vigie_runtime.clients import Redis
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import ProblemError
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import REDIS_AWAY

from .kit import settings_for

ACME, RIVAL = TenantId("acme"), TenantId("rival")
MINE, OTHERS = "shop", "till"
ASKED: dict[str, dict[str, Any]] = {
    "metrics": {"selector": "up"},
    "app": {"appId": MINE},
    "commands": {"host": "web-1"},
    "site": {"siteId": MINE},
}
ASKED["services"] = ASKED["site"]
ALLOWED: dict[ChannelName, set[str]] = {
    ChannelName.ALERTS: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.APP: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.COMMANDS: {"SUPERADMIN", "ADMIN", "key agent"},
    ChannelName.HEALTH: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.METRICS: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.SERVER: {"SUPERADMIN", "SUPPORT", "ADMIN", "key read"},
    ChannelName.SERVICES: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.SITE: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.TELEMETRY: {"SUPERADMIN", "SUPPORT"},
    ChannelName.SYSTEM: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.APPLICATION: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.BUSINESS: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
    ChannelName.SUMMARY: {"SUPERADMIN", "SUPPORT", "ADMIN", "USER", "READONLY", "key read"},
}
"""As docs/roles.md has the permissions of the channels."""


@dataclass(frozen=True)
class NoDatabase:
    def __getitem__(self, name: str) -> str:
        return name


@pytest.fixture
async def channels() -> dict[str, Any]:
    nothing: Any = NoDatabase()
    settings = settings_for()
    metrics = MetricSet([REDIS_AWAY])
    return registry.channels(ChannelResources(settings, nothing, Redis(), SystemClock(), metrics))


def person(role: Role) -> Principal:
    if role in PLATFORM_WIDE:
        return Principal(PrincipalKind.USER, "u", "u", role=role)
    assignment = Assignment.of(ACME, role, apps=frozenset({MINE}), sites=frozenset({MINE}))
    return Principal(PrincipalKind.USER, "u", "u", assignments=assigned(assignment))


def key(scope: Scope) -> Principal:
    assignment = Assignment(ACME, of_scopes(frozenset({scope})))
    return Principal(PrincipalKind.KEY, "vk_1", "k", assignments=assigned(assignment))


CALLERS = {role.value: person(role) for role in Role} | {f"key {scope}": key(scope) for scope in Scope}
NOBODY = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")


def subscribes(channel: Any, caller: Principal, tenant: TenantId = ACME, **more: Any) -> Parameters:
    """What a session does before it opens a topic."""
    asked = msgspec.convert(ASKED.get(channel.name, {}) | more, channel.parameters, strict=False)
    return channel.authorise(caller, caller.tenant(channel.permission, tenant), asked)


def refusal(channel: Any, caller: Principal, tenant: TenantId = ACME, **more: Any) -> type[ProblemError] | None:
    try:
        subscribes(channel, caller, tenant, **more)
    except ProblemError as e:
        return type(e)
    return None


def test_every_name_is_served(channels: dict[str, Any]) -> None:
    assert channels.keys() == set(ChannelName)
    assert channels.keys() == {name.value for name in ALLOWED}


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("who", CALLERS)
def test_every_channel_with_every_caller(channels: dict[str, Any], name: str, who: str) -> None:
    channel, caller = channels[name], CALLERS[who]
    assert refusal(channel, caller) is (None if who in ALLOWED[ChannelName(name)] else Forbidden)
    assert caller.may(channel.permission, ACME) is (who in ALLOWED[ChannelName(name)])
    if caller.role is None:
        assert refusal(channel, caller, RIVAL) is NotFound, "a foreign tenant does not exist"


@pytest.mark.parametrize("name", ALLOWED)
def test_nobody_subscribes_without_a_credential(channels: dict[str, Any], name: str) -> None:
    assert refusal(channels[name], NOBODY) is CredentialMissing
    assert refusal(channels[name], NOBODY, RIVAL) is CredentialMissing


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("who", CALLERS)
def test_judged_again_the_same_caller_has_the_same_topic(channels: dict[str, Any], name: str, who: str) -> None:
    if who not in ALLOWED[ChannelName(name)]:
        return
    channel, caller = channels[name], CALLERS[who]
    first = subscribes(channel, caller)
    assert channel.authorise(caller, ACME, first) == first
    assert hash(first) == hash(subscribes(channel, caller))


def test_the_services_of_a_whole_host_are_for_who_sees_every_site(channels: dict[str, Any]) -> None:
    refused = {who: refusal(channels["services"], caller, siteId=None) for who, caller in CALLERS.items()}
    assert {who for who, error in refused.items() if error is None} == {"SUPERADMIN", "SUPPORT", "ADMIN", "key read"}
    assert set(refused.values()) == {None, Forbidden}


@pytest.mark.parametrize(("name", "field"), [("app", "appId"), ("site", "siteId"), ("services", "siteId")])
def test_who_is_assigned_to_one_place_sees_no_other(channels: dict[str, Any], name: str, field: str) -> None:
    refused = {who: refusal(channels[name], caller, **{field: OTHERS}) for who, caller in CALLERS.items()}
    assert {who for who, error in refused.items() if error is NotFound} == {"USER", "READONLY"}
    assert {who for who, error in refused.items() if error is None} == {"SUPERADMIN", "SUPPORT", "ADMIN", "key read"}


@pytest.mark.parametrize("name", ["alerts", "health"])
def test_what_a_caller_sees_is_that_of_their_places(channels: dict[str, Any], name: str) -> None:
    told = {who: subscribes(channels[name], CALLERS[who]) for who in ALLOWED[ChannelName(name)]}
    places = {who: msgspec.to_builtins(parameters).get("places") for who, parameters in told.items()}
    every = dict.fromkeys(("SUPERADMIN", "SUPPORT", "ADMIN", "key read"))
    assert places == every | dict.fromkeys(("USER", "READONLY"), (f"app={MINE}", f"site={MINE}"))


def test_every_channel_says_what_it_needs(channels: dict[str, Any]) -> None:
    for name, channel in channels.items():
        assert channel.name == name
        assert issubclass(channel.parameters, Parameters)
        assert isinstance(channel.permission, Permission)
        assert channel.messages
        assert channel.sources
        assert len({message.__struct_config__.tag for message in channel.messages}) == len(channel.messages)


@pytest.mark.parametrize(
    ("name", "asked", "field"),
    [
        ("metrics", {"selector": None}, "selector"),
        ("metrics", {"selector": ""}, "selector"),
        ("metrics", {"selector": "x" * 5_000}, "selector"),
        ("app", {"appId": 17.5}, "appId"),
        ("app", {"appId": ["a"]}, "appId"),
        ("alerts", {"severity": "awful"}, "severity"),
        ("alerts", {"severity": ["critical"] * 100}, "severity"),
        ("alerts", {"status": ["active"] * 100}, "status"),
        ("alerts", {"rule": {"$ne": ""}}, "rule"),
        ("alerts", {"service": ""}, "service"),
        ("health", {"state": "red"}, "state"),
        ("health", {"service": {"$ne": ""}}, "service"),
        ("health", {"group": ["web"] * 100}, "group"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    channels: dict[str, Any], name: str, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
        subscribes(channels[name], CALLERS["ADMIN"], **asked)
