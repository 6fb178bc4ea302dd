"""Who may do what where, and that a foreign tenant looks like none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.tenants import TenantId, is_tenant
from vigie_identity.anonymous import NOTHING, AnonymousAccess, AnonymousRule
from vigie_identity.errors import (
    CredentialMissing,
    Forbidden,
    HostForbidden,
    InvalidField,
    NotFound,
    TenantNamedTwice,
)
from vigie_identity.names import name_key, new_secret, tenant_id
from vigie_identity.permissions import PLATFORM_WIDE, ROLES, SCOPES, Permission, Role, Scope
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned, named_tenant
from vigie_runtime.errors import ProblemError

MINE, ALSO_MINE, FOREIGN = TenantId("acme"), TenantId("beta"), TenantId("rival")
NO_PLACES = frozenset[str]()
tenants = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}\Z", fullmatch=True)


def person(
    role: Role, *tenants: TenantId, sites: frozenset[str] = NO_PLACES, apps: frozenset[str] = NO_PLACES
) -> Principal:
    """Somebody with that role on the platform, or in each of the tenants."""
    if role in PLATFORM_WIDE:
        return Principal(PrincipalKind.USER, "u1", "alice", role)
    return member(*(Assignment.of(tenant, role, apps, sites) for tenant in tenants))


def member(*assignments: Assignment) -> Principal:
    return Principal(PrincipalKind.USER, "u1", "alice", assignments=assigned(*assignments))


def refusal(principal: Principal, permission: Permission, tenant: str) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        principal.require(permission, tenant)
    return caught.value


def test_who_may_do_it_nowhere_is_not_asked_where() -> None:
    for principal in (person(Role.SUPPORT), person(Role.READONLY, MINE, ALSO_MINE)):
        with pytest.raises(Forbidden, match=r"data\.write"):
            principal.tenant(Permission.DATA_WRITE, None, MINE if principal.everywhere else FOREIGN)
    for principal in (person(Role.SUPERADMIN), person(Role.ADMIN, MINE, ALSO_MINE), member()):
        with pytest.raises(InvalidField):
            principal.tenant(Permission.DATA_WRITE)


@pytest.mark.parametrize("values", [["acme", "acme"], ["acme", "beta"], ["acme,beta"], ["acme", ""], [","]])
def test_a_tenant_that_is_named_twice_is_refused(values: list[str]) -> None:
    assert named_tenant([]) is None
    assert named_tenant(["acme"]) == "acme"
    with pytest.raises(TenantNamedTwice) as caught:
        named_tenant(values)
    assert (caught.value.status, "X-Scope-OrgID" in caught.value.detail) == (400, True)


@pytest.mark.parametrize("role", sorted(Role))
@pytest.mark.parametrize("permission", sorted(Permission))
def test_a_role_may_in_its_tenants_exactly_what_the_table_says(role: Role, permission: Permission) -> None:
    principal = person(role, MINE)
    assert principal.may(permission, MINE) is (permission in ROLES[role])
    assert principal.may(permission, FOREIGN) is (role in PLATFORM_WIDE and permission in ROLES[role])


@given(st.sampled_from(sorted(set(Role) - PLATFORM_WIDE)), st.sampled_from(sorted(Permission)), tenants)
def test_a_foreign_tenant_answers_like_one_that_does_not_exist(role: Role, permission: Permission, name: str) -> None:
    principal = person(role, TenantId(name + "x"))
    error = refusal(principal, permission, name)
    assert isinstance(error, NotFound)
    assert error.problem("/t") == NotFound("tenant").problem("/t")


def test_a_missing_permission_in_ones_own_tenant_is_named() -> None:
    error = refusal(person(Role.READONLY, MINE), Permission.ALERTS_RESOLVE, MINE)
    assert isinstance(error, Forbidden)
    assert error.status == 403
    assert "alerts.resolve" in error.detail


def test_a_role_holds_in_the_tenant_that_it_was_given_in_and_in_no_other_one() -> None:
    both = member(Assignment.of(MINE, Role.ADMIN), Assignment.of(ALSO_MINE, Role.READONLY, sites=frozenset({"b1"})))
    assert both.permissions(MINE) == ROLES[Role.ADMIN]
    assert both.permissions(ALSO_MINE) == ROLES[Role.READONLY]
    assert both.permissions(FOREIGN) == frozenset()
    assert both.tenant(Permission.USERS_MANAGE, MINE) == MINE
    assert isinstance(refusal(both, Permission.USERS_MANAGE, ALSO_MINE), Forbidden)
    assert isinstance(refusal(both, Permission.USERS_MANAGE, FOREIGN), NotFound)
    assert (both.sites(MINE), both.sites(ALSO_MINE)) == (None, {"b1"})
    assert (both.everywhere, both.roles) == (False, {Role.ADMIN, Role.READONLY})
    with pytest.raises(Forbidden):
        both.require_platform(Permission.USERS_MANAGE)


def test_only_platform_wide_roles_pass_for_the_platform() -> None:
    person(Role.SUPERADMIN).require_platform(Permission.TENANTS_MANAGE)
    person(Role.SUPPORT).require_platform(Permission.PLATFORM_READ)
    for principal in (person(Role.SUPPORT), person(Role.ADMIN, MINE)):
        with pytest.raises(Forbidden):
            principal.require_platform(Permission.TENANTS_MANAGE)


def test_sites_and_apps_are_those_of_the_assignment_except_for_who_sees_all() -> None:
    places = {"apps": frozenset({"shop"}), "sites": frozenset({"s1"})}
    user = person(Role.USER, MINE, **places)
    assert user.sites(MINE) == {"s1"}
    assert user.apps(MINE) == {"shop"}
    assert user.sites(FOREIGN) == frozenset()
    assert user.may_site(Permission.SITES_READ, MINE, "s1")
    assert not user.may_site(Permission.SITES_READ, MINE, "s2")
    assert not user.may_site(Permission.SITES_READ, FOREIGN, "s1")
    admin = person(Role.ADMIN, MINE, **places)
    assert admin.sites(MINE) is None
    assert admin.may_site(Permission.SITES_READ, MINE, "s2")
    assert not admin.may_site(Permission.SITES_READ, FOREIGN, "s2")
    assert person(Role.SUPPORT).sites(FOREIGN) is None


def test_the_tenant_of_a_request_is_the_one_asked_for_or_the_only_one() -> None:
    one, two = person(Role.USER, MINE), person(Role.USER, MINE, ALSO_MINE)
    read = Permission.METRICS_READ
    assert one.tenant(read) == MINE
    assert two.tenant(read, "beta") == ALSO_MINE
    assert person(Role.SUPPORT).tenant(read, default=FOREIGN) == FOREIGN
    for asked in ("rival", "", "no such!", "_platform"):
        with pytest.raises(NotFound):
            one.tenant(read, asked)
    with pytest.raises(InvalidField):
        two.tenant(read)
    with pytest.raises(InvalidField):
        person(Role.SUPERADMIN).tenant(read)


@pytest.mark.parametrize(
    ("text", "rights", "tenant"),
    [
        ("nothing", set(), None),
        ("telemetry", {AnonymousAccess.TELEMETRY}, None),
        ("default:read", {AnonymousAccess.READ}, "default"),
        (" default:read, write,configure,telemetry ", set(AnonymousAccess), "default"),
    ],
)
def test_the_rule_for_anonymous_callers_is_read_and_written(
    text: str, rights: set[AnonymousAccess], tenant: str | None
) -> None:
    rule = AnonymousRule.parse(text)
    assert (rule.rights, rule.tenant) == (rights, tenant)
    assert AnonymousRule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    ["", "read", "default:", "default:telemetry", "default:admin", ":read", "a b:read", "nothing,read", "x:nothing"],
)
def test_an_unclear_rule_for_anonymous_callers_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        AnonymousRule.parse(text)


def test_anonymous_may_what_the_rule_says_and_is_asked_to_say_who_it_is_otherwise() -> None:
    nobody = AnonymousRule.parse(NOTHING).principal()
    assert not any(nobody.may(permission, MINE) for permission in Permission)
    assert isinstance(refusal(nobody, Permission.METRICS_READ, MINE), CredentialMissing)
    with pytest.raises(CredentialMissing):
        nobody.tenant(Permission.METRICS_READ)
    node = AnonymousRule.parse("telemetry").principal()
    assert node.tenant(Permission.TELEMETRY_SEND, "rival") == FOREIGN
    assert [p for p in Permission if node.may(p, MINE)] == [Permission.TELEMETRY_SEND]
    local = AnonymousRule.parse("acme:read,write").principal()
    assert local.tenant(Permission.DATA_WRITE) == MINE
    assert not local.may(Permission.TELEMETRY_SEND, MINE)
    assert not local.may(Permission.METRICS_READ, FOREIGN)
    assert not local.may(Permission.USERS_READ, MINE)


def test_the_place_of_the_platform_is_nobodys_tenant() -> None:
    assert not is_tenant("_platform")
    with pytest.raises(InvalidField):
        tenant_id("_platform")


@given(st.text(max_size=40))
def test_a_name_key_is_stable(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_names_that_look_the_same_are_the_same() -> None:
    assert name_key("Alice") == name_key("\N{FULLWIDTH LATIN CAPITAL LETTER A}lice") == name_key("alice")
    assert name_key("Zoe\u0308") == name_key("zoë")


def test_a_new_secret_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["-rf", "--help", "good-one"])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _bytes: next(made))
    assert new_secret() == "good-one"


def test_a_key_that_is_bound_to_a_host_speaks_for_no_other() -> None:
    place = assigned(Assignment(MINE, SCOPES[Scope.AGENT]))
    bound = Principal(PrincipalKind.KEY, "vk_1", "agent", assignments=place, host="web-1")
    bound.require_host(MINE, "web-1")
    with pytest.raises(HostForbidden, match="web-1 only"):
        bound.require_host(MINE, "web-2")
    with pytest.raises(NotFound):
        bound.require_host(FOREIGN, "web-1")
    Principal(PrincipalKind.KEY, "vk_2", "agent", assignments=place).require_host(MINE, "web-2")
    with pytest.raises(Forbidden, match=r"hosts\.report"):
        person(Role.USER, MINE).require_host(MINE, "web-1")
