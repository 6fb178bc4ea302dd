"""The table of permissions: what must never be in it, and that the documentation shows it."""

import re
from pathlib import Path

from vigie_identity.permissions import PLATFORM_ONLY, PLATFORM_WIDE, ROLES, SCOPES, Permission, Role, Scope, strongest

P = Permission
DOCUMENT = Path(__file__).parents[3] / "docs" / "roles.md"

# The permission table of the system that is replaced, row by row: (admin, user, readonly).
REPLACED = {
    P.SERVER_READ: (True, False, False),
    P.SITES_READ_ALL: (True, False, False),
    P.SITES_READ: (True, True, True),
    P.SERVICES_READ: (True, True, True),
    P.SERVICES_CONTROL: (True, True, False),
    P.ALERTS_READ_ALL: (True, False, False),
    P.ALERTS_READ: (True, True, True),
    P.ALERTS_ACKNOWLEDGE: (True, True, False),
    P.ALERTS_RESOLVE: (True, False, False),
    P.MONITORING_CONFIGURE: (True, False, False),
}


def test_the_documentation_shows_the_table() -> None:
    rows = re.findall(r"^\| `([a-z.-]+)` \| [^|]+\|(.+)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: [cell.strip() == "yes" for cell in cells.split("|")] for name, cells in rows}
    assert shown == {p.value: [p in ROLES[r] for r in Role] + [p in SCOPES[s] for s in Scope] for p in Permission}


def test_admin_user_and_readonly_may_what_they_could_in_the_replaced_system() -> None:
    for permission, expected in REPLACED.items():
        assert tuple(permission in ROLES[role] for role in (Role.ADMIN, Role.USER, Role.READONLY)) == expected


def test_every_role_and_scope_has_a_row() -> None:
    assert set(ROLES) == set(Role)
    assert set(SCOPES) == set(Scope)


def test_no_role_that_is_bound_to_tenants_reaches_the_platform() -> None:
    for role in set(Role) - PLATFORM_WIDE:
        assert not ROLES[role] & PLATFORM_ONLY
    for scope in Scope:
        assert not SCOPES[scope] & PLATFORM_ONLY


def test_roles_form_a_ladder() -> None:
    assert ROLES[Role.READONLY] < ROLES[Role.USER] < ROLES[Role.ADMIN] < ROLES[Role.SUPERADMIN]
    assert ROLES[Role.SUPPORT] < ROLES[Role.SUPERADMIN]
    assert strongest([Role.READONLY, Role.ADMIN, Role.USER]) is Role.ADMIN
    assert strongest([Role.SUPPORT, Role.SUPERADMIN]) is Role.SUPERADMIN
    assert strongest([]) is None


def test_support_and_readonly_change_nothing() -> None:
    for role in (Role.SUPPORT, Role.READONLY):
        assert all(permission.value.rpartition(".")[2].startswith("read") for permission in ROLES[role])


def test_a_key_that_may_only_write_reads_nothing() -> None:
    assert not any("read" in permission for permission in SCOPES[Scope.WRITE])
    assert all("read" in permission for permission in SCOPES[Scope.READ])
