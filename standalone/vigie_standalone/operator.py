"""`vigie admin`, `vigie tenant`, `vigie key`: accounts without HTTP, for whoever reaches the database.

A secret is all that a command prints on standard output, so that a shell can take it; what there is to say about it is
said on standard error, to people only.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir, seconds

if TYPE_CHECKING:
    from vigie_contracts.tenants import TenantId
    from vigie_identity.api_keys import ApiKey
    from vigie_identity.pages import Page, PageRequest

    from vigie_standalone.accounts import Accounts

T = TypeVar("T")

admin_app = typer.Typer(help="The administrator of the platform.", no_args_is_help=True)
tenant_app = typer.Typer(help="Tenants: whose data it is.", no_args_is_help=True)
key_app = typer.Typer(help="API keys of senders and readers.", no_args_is_help=True)

TenantArgument = Annotated[str, typer.Argument(help="The tenant's id.", metavar="TENANT")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose key it is.")]


def _run(data_dir: Path, work: "Callable[[Accounts], Awaitable[T]]") -> T:
    from vigie_standalone.accounts import accounts, addresses

    async def connected() -> T:
        async with accounts(addresses(data_dir)) as here:
            return await work(here)

    return asyncio.run(connected())


def _tenant(text: str) -> "TenantId":
    from vigie_identity.errors import InvalidField
    from vigie_identity.names import tenant_id

    from vigie_standalone.accounts import AccountsError

    try:
        return tenant_id(text)
    except InvalidField as error:
        raise AccountsError(error.detail) from None


def _show(secret: str, what: str) -> None:
    if sys.stdout.isatty():
        typer.echo(f"{what}, shown this once:", err=True)
    typer.echo(secret)


@admin_app.command("reset-password")
def reset_password(data_dir: DataDir = DEFAULT_HOME) -> None:
    """Give the administrator a new password, switch the account on and end its sessions; prints the password."""
    made = _run(data_dir, lambda here: here.identity.reset_administrator(here.actor))
    _show(str(made.password), f"The new password of {made.name}")


@tenant_app.command("add")
def tenant_add(
    tenant: TenantArgument,
    name: Annotated[str, typer.Option(help="What people call it; the id when it has no other.")] = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Make a tenant. It is active at once."""
    made = _run(data_dir, lambda here: here.identity.tenants.create(_tenant(tenant), name or tenant, here.actor))
    typer.echo(f"{made.id} is there, named {made.name}.")


@tenant_app.command("list")
def tenant_list(data_dir: DataDir = DEFAULT_HOME) -> None:
    """List all tenants: id, status, name."""

    async def show(here: "Accounts") -> None:
        async for tenant in _all(here.identity.tenants.page):
            typer.echo(f"{tenant.id}\t{tenant.status}\t{tenant.name}")

    _run(data_dir, show)


@tenant_app.command("activate")
def tenant_activate(tenant: TenantArgument, data_dir: DataDir = DEFAULT_HOME) -> None:
    """Let a tenant's senders and readers in again."""
    _set_status(data_dir, tenant, active=True)


@tenant_app.command("deactivate")
def tenant_deactivate(tenant: TenantArgument, data_dir: DataDir = DEFAULT_HOME) -> None:
    """Keep a tenant's senders and readers out, within 5 s. Its data stays."""
    _set_status(data_dir, tenant, active=False)


def _set_status(data_dir: Path, tenant: str, *, active: bool) -> None:
    from vigie_identity.tenants import Status

    status = Status.ACTIVE if active else Status.INACTIVE
    made = _run(data_dir, lambda here: here.identity.tenants.change(_tenant(tenant), here.actor, status=status))
    typer.echo(f"{made.id} is {made.status}.")


@key_app.command("create")
def key_create(  # noqa: PLR0917 - one for each argument of the command
    tenant: TenantOption,
    scope: Annotated[
        list[str], typer.Option("--scope", help="What it may do: write, read, configure or agent; or several.")
    ],
    name: Annotated[str, typer.Option(help="What the lists call it.")] = "made by vigie",
    expires: Annotated[str, typer.Option(help="When it ends, such as 90d; never without it.")] = "",
    host: Annotated[str, typer.Option(help="The only host that it speaks for; of the scope agent alone.")] = "",
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """Make an API key; prints it."""
    from vigie_identity.permissions import Scope

    if unknown := set(scope) - set(Scope):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: a scope is one of {', '.join(Scope)}")
    try:
        end = datetime.now(UTC) + timedelta(seconds=seconds(expires)) if expires else None
    except OverflowError:
        raise typer.BadParameter(f"{expires} is longer than anybody can wait; leave it out") from None
    scopes = [Scope(word) for word in scope]
    made = _run(
        data_dir,
        lambda here: here.identity.keys.create(
            _tenant(tenant), name, scopes, here.actor, expires=end, host=host or None
        ),
    )
    _show(made.secret, f"The key {made.key.visible} of {tenant}")


@key_app.command("list")
def key_list(tenant: TenantOption, data_dir: DataDir = DEFAULT_HOME) -> None:
    """List a tenant's keys without their secrets: id, scopes, state, last used, name."""

    async def show(here: "Accounts") -> None:
        whose = _tenant(tenant)
        await here.identity.tenants.get(whose)
        async for key in _all(lambda asked: here.identity.keys.page(whose, asked)):
            used = f"used {key.last_used:%Y-%m-%d %H:%M}" if key.last_used else "never used"
            typer.echo(f"{key.visible}\t{','.join(sorted(key.scopes))}\t{_state(key)}\t{used}\t{key.name}")

    _run(data_dir, show)


@key_app.command("revoke")
def key_revoke(
    key: Annotated[str, typer.Argument(help="The key's id as the list shows it: vk_...")],
    tenant: TenantOption,
    data_dir: DataDir = DEFAULT_HOME,
) -> None:
    """End a key for ever, within 5 s."""
    whose = key.strip().removeprefix("vk_").partition("_")[0]  # also when somebody pastes the whole key
    made = _run(data_dir, lambda here: here.identity.keys.revoke(_tenant(tenant), whose, here.actor))
    typer.echo(f"{made.visible} is revoked.")


async def _all(page: "Callable[[PageRequest], Awaitable[Page[T]]]") -> AsyncIterator[T]:
    from vigie_identity.pages import MAX_PAGE, PageRequest

    cursor: str | None = None
    while True:
        found = await page(PageRequest(MAX_PAGE, cursor))
        for item in found.items:
            yield item
        if (cursor := found.cursor) is None:
            return


def _state(key: "ApiKey") -> str:
    if key.revoked:
        return f"revoked {key.revoked:%Y-%m-%d %H:%M}"
    if key.expires is None:
        return "good"
    return f"{'good until' if key.good(datetime.now(UTC)) else 'expired'} {key.expires:%Y-%m-%d %H:%M}"
