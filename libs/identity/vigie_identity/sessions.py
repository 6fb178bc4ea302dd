"""Log in, refresh, log out. An access token is short-lived and names its session; a refresh token is good once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vigie_contracts.tenants import PLATFORM, tenant_id
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.errors import Busy, ProblemError, StoreUnavailable
from vigie_storage.mongo import Session as Transaction
from vigie_storage.mongo import transaction

from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import BadCredential, InvalidField, RefusalReason, WrongLogin
from vigie_identity.failed_logins import FailedLogins
from vigie_identity.names import MAX_NAME_CHARS, new_ordered_id
from vigie_identity.passwords import Passwords
from vigie_identity.refresh import Generation, RefreshTokens
from vigie_identity.session_store import SessionStore, StoredSession
from vigie_identity.tenants import Tenants
from vigie_identity.throttle import LoginThrottle
from vigie_identity.tokens import Signer
from vigie_identity.users import Account, User, Users

log = logging.get(__name__)

SCHEME: Final = "Bearer"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a login or a refresh returns; times in seconds."""

    access: str
    access_expires_in_s: int
    refresh: str
    refresh_expires_in_s: int
    user: User

    def __repr__(self) -> str:
        return f"Tokens(***, user={self.user.id})"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The address and the User-Agent of a client."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class SessionLifetimes:
    """The maximum age of a session, and how long it lasts without a refresh."""

    longest: timedelta
    idle: timedelta


class _WrongOldPassword(InvalidField):
    """Not WrongLogin: whoever asks is known, and stays logged in."""

    def __init__(self) -> None:
        super().__init__("old_password", "is not the password of this account")


class Sessions:
    """Login, refresh, password change and logout."""

    def __init__(
        self, *, db: Database, store: SessionStore, users: Users, tenants: Tenants, passwords: Passwords,
        throttle: LoginThrottle, failed: FailedLogins, signer: Signer, refresh: RefreshTokens, audit: Audit,
        lifetimes: SessionLifetimes,
    ) -> None:  # fmt: skip
        self._db = db
        self._store = store
        self._users = users
        self._tenants = tenants
        self._passwords = passwords
        self._throttle = throttle
        self._failed = failed
        self._signer = signer
        self._refresh = refresh
        self._audit = audit
        self._lifetimes = lifetimes

    async def login(self, name: str, password: str, client: ClientInfo, home: str | None = None) -> Tokens:
        """Begin a session. `home` is the tenant of the account; None: an account of the platform.

        Raises WrongLogin, without saying what was wrong; TooManyAttempts, Busy, StoreUnavailable."""
        where = PLATFORM if home is None else tenant_id(home) or home  # one count and one audit for all its spellings
        async with self._counted(where, name, client):
            found = await self._account(home, name)
            try:
                account = await self._verified(found, password, client)
                tokens = await self._start(account.user, client)
            except WrongLogin:
                self._note_failed(where, None if found is None else found.user, client)
                raise
        await self._renew_hash(account, password)
        return tokens

    async def change_password(self, user: str, old: str, new: str, client: ClientInfo) -> Tokens:
        """Another password for the user of a principal, who gives the old one; guesses are counted as those of
        logins. Every session ends, and the tokens are those of a new one.

        Raises InvalidField when the old one is not right or the new one not good, BadCredential when the account is
        not active any more; TooManyAttempts, Busy, StoreUnavailable."""
        account = await self._users.account_of(user)
        if account is None or not account.user.active:
            raise BadCredential(RefusalReason.OWNER)
        by = Actor(user, account.user.name, client.address, client.agent)
        async with self._counted(account.user.home, account.user.name, client):
            # Before the old one: what is wrong with this one must tell nothing of that one. Counted meanwhile, because
            # it takes a while.
            await self._passwords.check(new, account.user.name)
            if not await self._passwords.verify(account.password, old):
                self._note_failed(account.user.home, account.user, client)
                raise _WrongOldPassword
            changed = await self._users.change_own(account, new, by)
            if changed is None:
                raise _WrongOldPassword  # since it was verified
        return await self._start(changed, client)

    def _note_failed(self, home: str, user: User | None, client: ClientInfo) -> None:
        self._failed.note(home, user, Actor("", "", client.address, client.agent))

    @asynccontextmanager
    async def _counted(self, home: str, name: str, client: ClientInfo) -> AsyncGenerator[None]:
        """An attempt at a password, which counts when it was wrong. Raises TooManyAttempts."""
        attempt = await self._throttle.attempt(home, name, client.address)
        try:
            yield
        except (WrongLogin, _WrongOldPassword):
            raise
        except ProblemError:  # Busy, StoreUnavailable, InvalidField: nobody learned whether it is right
            await self._throttle.take_back(attempt)
            raise
        await self._throttle.take_back(attempt)

    async def refresh(self, token: str, client: ClientInfo) -> Tokens:
        """New tokens for an old refresh token, which is used up by it. A token that comes a second time ends the
        session: somebody else has it too. Raises BadCredential, StoreUnavailable."""
        given = self._refresh.read(token)
        session = await self._store.load(given.session)
        if session is None or not session.alive(self._store.now()):
            raise BadCredential(RefusalReason.REVOKED)
        if session.generation != given.number:
            await self._reused(session, client)
        user = await self._users.load(session.user)
        if user is None or not user.active or user.epoch != session.epoch or not await self._home_active(user):
            raise BadCredential(RefusalReason.OWNER)
        until = min(session.expires, self._store.now() + self._lifetimes.idle)
        if not await self._store.rotate(session, given.number, until):
            await self._reused(session, client)
        return self._tokens(user, given.next(), (until - self._store.now()).total_seconds())

    async def logout(self, session: str, user: str, client: ClientInfo) -> None:
        """End a session of the user: `Principal.session`. One that has ended stays ended, and one of somebody else goes
        on. Raises StoreUnavailable."""
        stored = await self._store.load(session)
        if stored is not None and stored.user == user:
            await self._end(stored, Actor(stored.user, "", client.address, client.agent), Action.LOGGED_OUT)

    async def end(self, refresh_token: str, client: ClientInfo) -> None:
        """End the session of a refresh token, used up or not; one that we did not make ends nothing. Raises
        StoreUnavailable."""
        with suppress(BadCredential):
            session = await self._store.load(self.session_of(refresh_token))
            if session is not None:
                await self._end(session, Actor(session.user, "", client.address, client.agent), Action.LOGGED_OUT)

    def session_of(self, refresh_token: str) -> str:
        """The session of a refresh token that we made, used up or not. Raises BadCredential."""
        return self._refresh.read(refresh_token).session

    async def _account(self, home: str | None, name: str) -> Account | None:
        where = PLATFORM if home is None else tenant_id(home)
        if len(name) > MAX_NAME_CHARS or not name.isprintable() or where is None:
            return None
        return await self._users.account(where, name)

    async def _verified(self, account: Account | None, password: str, client: ClientInfo) -> Account:
        """The account, whose password this is. Raises WrongLogin, Busy, StoreUnavailable."""
        stored = account.password if account is not None and account.user.active else None
        if not await self._passwords.verify(stored, password) or account is None:
            log.warning("a login failed", address=client.address)
            raise WrongLogin
        if not await self._home_active(account.user):
            raise WrongLogin(RefusalReason.OWNER)
        return account

    async def _home_active(self, user: User) -> bool:
        return user.home == PLATFORM or bool(await self._tenants.active([user.home]))

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Comfort: the login is good without it."""
        if self._passwords.outdated(account.password):
            with suppress(Busy, StoreUnavailable):
                await self._users.replace_hash(account, await self._passwords.rehash(password))

    async def _start(self, user: User, client: ClientInfo) -> Tokens:
        now = self._store.now()
        expires = now + self._lifetimes.longest
        session = StoredSession(
            id=new_ordered_id(int(now.timestamp() * 1000)),
            home=user.home,
            user=user.id,
            epoch=user.epoch,
            generation=0,
            started=now,
            expires=expires,
            until=min(expires, now + self._lifetimes.idle),
            revoked=None,
        )
        actor = Actor(user.id, user.name, client.address, client.agent)

        async def work(transaction: Transaction) -> str | None:
            if not await self._users.unchanged(transaction, user):
                raise WrongLogin(RefusalReason.OWNER)  # since the password was verified
            about = {"address": client.address, "agent": client.agent[:256]}
            await self._audit.add(transaction, user.home, actor, Action.LOGGED_IN, session.id)
            return await self._store.start(session, transaction, about)

        if (pushed_out := await transaction(self._db, work)) is not None:
            await self._store.forget(pushed_out)
        return self._tokens(user, Generation(session.id, 0), (session.until - now).total_seconds())

    async def _reused(self, session: StoredSession, client: ClientInfo) -> None:
        """Raises BadCredential always."""
        log.warning("a refresh token was used twice: its session ends", session=session.id, address=client.address)
        await self._end(session, Actor(session.user, "", client.address, client.agent), Action.TOKEN_REUSED)
        raise BadCredential(RefusalReason.REUSED)

    async def _end(self, session: StoredSession, by: Actor, action: Action) -> None:
        async def work(transaction: Transaction) -> None:
            if await self._store.revoke(session, transaction):
                await self._audit.add(transaction, session.home, by, action, session.id)

        await transaction(self._db, work)
        await self._store.forget(session.id)

    def _tokens(self, user: User, generation: Generation, refresh_s: float) -> Tokens:
        access = self._signer.sign(user.id, generation.session, user.epoch)
        return Tokens(access.token, access.expires_in_s, self._refresh.make(generation), int(refresh_s), user)
