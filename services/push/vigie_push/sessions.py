"""Who is connected, by whatever transport: who they are, what they may see, and that both stay true.

A transport opens a session, hands the client's wishes to it, and writes what its `subscriber` gives. When `take` raises
Ended, the connection is closed with that reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from random import uniform
from secrets import token_hex
from typing import Any, Final

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing, NotFound, Unauthenticated
from vigie_identity.principal import Principal, PrincipalKind
from vigie_runtime import logging
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, ProblemError, StoreUnavailable
from vigie_web.close_codes import CloseCode, Closing
from vigie_web.state import AccessControl

from vigie_push.channels.base import Channel, Cursor, Topic, fits
from vigie_push.credentials import expires_of
from vigie_push.errors import BadParameters, Ended, SubscriptionOver, TooManySubscriptions, UnknownChannel
from vigie_push.hub import Hub
from vigie_push.messages import Subscribed, Unsubscribed
from vigie_push.metrics import PushMetrics, Transport
from vigie_push.settings import PushSettings
from vigie_push.subscriber import Outgoing, Subscriber, Subscription

log = logging.get(__name__)

_TICK_S: Final = 1.0
_AT_ONCE: Final = 32
_SPREAD: Final = 0.25
_MAX_CURSOR_CHARS: Final = 1_024
_OVER: Final = Closing(CloseCode.NORMAL, "the connection has ended")


class Session:
    """One connection. For one transport, which calls one method at a time."""

    def __init__(self, sessions: Sessions, origin: Origin) -> None:
        settings = sessions.settings
        self.id = token_hex(8)
        self.origin = origin
        self.subscriber = Subscriber(settings.push_buffer, settings.push_buffer_bytes)
        self.principal: Principal | None = None
        """None until `authenticate`."""
        self.subscriptions: dict[str, Subscription] = {}
        self.check_at = 0.0
        """When the session is judged again, monotonic."""
        self._sessions = sessions
        self._credential: bytes | None = None
        self.counted: list[str] = []
        """What the connection is counted to; kept by `Sessions`."""
        self._number = 0

    async def authenticate(self, credential: bytes | None) -> Principal:
        """Say who it is, at first or anew; None: nobody. What is subscribed to must be allowed to the new one too.

        Raises ProblemError for what is not good, Ended when there are too many connections or something subscribed
        to is not allowed any more."""
        principal = await self._sessions.principal(credential, self.origin, charged=True)
        first = self.principal is None
        self._authorise_all(principal)
        self._sessions.count(self, principal)
        self.principal, self._credential = principal, credential
        self._plan()
        if first:
            log.debug("connected", session=self.id, caller=principal.id)
        return principal

    async def anonymous_may(self) -> bool:
        """Whether callers without a credential may do anything here; the connection is counted to its address until it
        says who it is. Raises Ended while nobody can say, and when the address has too many."""
        self._sessions.count(self, None)
        try:
            nobody = await self._sessions.principal(None, self.origin)
        except ProblemError as e:
            raise Ended(Closing(CloseCode.TRY_LATER, e.detail)) from None
        return bool(nobody.assignments)

    def closed_with(self, code: int | None) -> None:
        """The transport has ended with this code: counted, when it is one of ours."""
        self._sessions.metrics.closed(code)

    def tenant(self, permission: Any, asked: str | None) -> TenantId:
        """The tenant of what is asked for. Raises as `Principal.tenant`; CredentialMissing before `authenticate`."""
        if self.principal is None:
            raise CredentialMissing
        return self.principal.tenant(permission, asked, TenantId(self._sessions.settings.default_tenant))

    async def subscribe(
        self,
        channel: str,
        fields: Mapping[str, Any],
        *,
        after: Cursor | None = None,
        tenant: str | None = None,
        id: Any = None,  # noqa: A002 - its name in messages
    ) -> Subscription:
        """Subscribe to the channel with the parameters that are among `fields`; the answer, the snapshot and what comes
        are put into `subscriber`. Raises ProblemError."""
        wanted = self._sessions.channel(channel)
        most = self._sessions.settings.push_subscriptions
        if len(self.subscriptions) >= most:
            raise TooManySubscriptions(most)
        topic = await self._topic(wanted, fields, tenant)
        self._number += 1
        subscription = await self._sessions.hub.attach(self.subscriber, str(self._number), topic)
        if self not in self._sessions:
            self._sessions.hub.detach(subscription)
            raise SubscriptionOver
        for same in [one for one in self.subscriptions.values() if one.topic == topic]:
            self.unsubscribe(same.id)  # begins anew: with a snapshot, or after a cursor
        self.subscriptions[subscription.id] = subscription
        self._sessions.metrics.subscribed(channel)
        self.subscriber.tell(Subscribed(id=id, subscription=subscription.id, channel=channel, tenant=topic.tenant))
        try:
            await self._sessions.hub.begin(subscription, after if after and len(after) <= _MAX_CURSOR_CHARS else None)
        except BaseException:
            self._drop(subscription)
            raise
        return subscription

    def unsubscribe(
        self,
        subscription: str | None = None,
        channel: str | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        id: Any = None,  # noqa: A002 - its name in messages
    ) -> None:
        """End one subscription, or those of a channel with the parameters that are among `fields`, or all; each is
        answered. Raises NotFound when the one that is named is none."""
        ended = [
            one
            for one in self.subscriptions.values()
            if subscription in (None, one.id)
            and channel in (None, one.topic.channel)
            and fits(one.topic.parameters, fields or {})
        ]
        if not ended and subscription is not None:
            raise NotFound("subscription")
        for one in ended:
            self._drop(one)
            self.subscriber.tell(Unsubscribed(id=id, subscription=one.id, channel=one.topic.channel))

    async def take(self) -> list[Outgoing]:
        """What waits for the client, as soon as anything does: for the one writer. Raises Ended when the connection has
        to end."""
        subscriber, metrics = self.subscriber, self._sessions.metrics
        batch = await subscriber.take()
        metrics.sent(batch, self._sessions.clock.monotonic())
        self._count_lost()
        return batch

    def _count_lost(self) -> None:
        subscriber, metrics = self.subscriber, self._sessions.metrics
        if subscriber.conflated or subscriber.dropped:
            metrics.conflated.inc(subscriber.conflated)
            metrics.dropped.inc(subscriber.dropped)
            subscriber.conflated = subscriber.dropped = 0

    async def judge(self) -> None:
        """Look again at who it is and what it may see. Raises Ended when that is not what it was. While that cannot be
        found out, it stays as long as its credential holds."""
        if self.principal is None:
            return
        self._plan()
        credential = self._credential
        try:
            principal = await self._found_again(credential)
        except Ended:
            if credential is self._credential:
                raise
            return
        if principal is None or credential is not self._credential:  # another one was shown meanwhile
            return
        self._authorise_all(principal)
        self.principal = principal
        for subscription in self.subscriptions.values():
            subscription.settle(self._sessions.clock.monotonic())
        await self._sessions.check_tenants(self, principal)

    async def _found_again(self, credential: bytes | None) -> Principal | None:
        """Whose it is; None while nobody can say. Raises Ended when it is nobody's any more."""
        try:
            return await self._sessions.principal(credential, self.origin)
        except (StoreUnavailable, Busy):
            expires = expires_of(credential)
            if expires is not None and self._sessions.clock.now_ms() / 1000 >= expires:
                raise Ended(Closing(CloseCode.UNAUTHENTICATED, "the token has expired")) from None
            return None
        except Unauthenticated as e:
            raise Ended(Closing(CloseCode.UNAUTHENTICATED, e.detail)) from None
        except ProblemError as e:
            if e.status >= 429:  # nobody has said that it may not
                return None
            raise Ended(Closing(CloseCode.NOT_ALLOWED, e.detail)) from None

    def close(self) -> None:
        """The connection has ended."""
        for subscription in list(self.subscriptions.values()):
            self._drop(subscription)
        self._count_lost()
        self.subscriber.on_close = None
        self.subscriber.close(_OVER)  # whoever waits for room in it
        self._sessions.forget(self)

    async def _topic(self, channel: Channel[Any], fields: Mapping[str, Any], asked: str | None) -> Topic[Any]:
        if self.principal is None:
            raise CredentialMissing
        tenant = self.tenant(channel.permission, asked)
        if self.principal.everywhere:
            await self._sessions.require_tenant(tenant)
        try:
            parameters = msgspec.convert(fields, channel.parameters, strict=False)
        except msgspec.ValidationError as e:
            raise BadParameters(e) from None
        return Topic(tenant, channel.name, channel.authorise(self.principal, tenant, parameters))

    def _authorise_all(self, principal: Principal) -> None:
        """Raises Ended."""
        for one in self.subscriptions.values():
            topic = one.topic
            channel = self._sessions.hub.channels[topic.channel]
            try:
                allowed = channel.authorise(principal, topic.tenant, topic.parameters)
            except ProblemError as e:
                raise Ended(Closing(CloseCode.NOT_ALLOWED, f"{topic.channel}: {e.detail}")) from None
            if allowed != topic.parameters:
                reason = f"{topic.channel}: what you may see of it has changed; subscribe anew"
                raise Ended(Closing(CloseCode.NOT_ALLOWED, reason))

    def _plan(self) -> None:
        sessions = self._sessions
        wait_s = sessions.settings.push_recheck_s * uniform(1 - _SPREAD, 1)  # they may all have come at once
        if (expires := expires_of(self._credential)) is not None:
            wait_s = min(wait_s, max(0.0, expires + sessions.settings.jwt_skew_s - sessions.clock.now_ms() / 1000))
        self.check_at = sessions.clock.monotonic() + wait_s

    def _drop(self, subscription: Subscription) -> None:
        if self.subscriptions.pop(subscription.id, None) is not None:
            self._sessions.metrics.unsubscribed(subscription.topic.channel)
            self._sessions.hub.detach(subscription)


class Sessions:
    """All sessions of a process. For one event loop."""

    def __init__(
        self, settings: PushSettings, access: AccessControl, hub: Hub, clock: Clock, metrics: PushMetrics
    ) -> None:
        self.settings, self.hub, self.clock, self.metrics = settings, hub, clock, metrics
        self._access = access
        self._open: dict[Session, None] = {}
        self._counts: Counter[str] = Counter()
        self._stopped = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._open)

    def __contains__(self, session: object) -> bool:
        return session in self._open

    @asynccontextmanager
    async def opened(self, origin: Origin, transport: Transport) -> AsyncGenerator[Session]:
        """A session while the context is entered. Raises Ended when there are too many."""
        if len(self._open) >= self.settings.push_connections:
            raise Ended(Closing(CloseCode.TRY_LATER, "too many connections are open; try again later"))
        session = Session(self, origin)
        self._open[session] = None
        self.metrics.transports[transport].inc()
        try:
            yield session
        finally:
            del self._open[session]
            self.metrics.transports[transport].dec()
            session.close()

    def refuse(self, closing: Closing, end: Callable[[Closing], None]) -> None:
        """End a connection that came to no session: counted like the others."""
        self.metrics.closed(closing.code)
        end(closing)

    async def principal(self, credential: bytes | None, origin: Origin, *, charged: bool = False) -> Principal:
        """Who shows this credential. A connection is `charged` like a request. Raises as `Authenticator.credential`;
        Throttled."""
        authenticator = self._access.authenticator
        quota = self._access.rates.open(origin)
        try:
            if credential is None:
                found = await authenticator.anonymous()
            else:
                found = await authenticator.credential(credential, quota)
        except ProblemError as e:
            if isinstance(e, Unauthenticated) and e.reason is not None:
                self.metrics.refused(e.reason)
            await quota.refused(e)
            raise
        if charged:
            await quota.admit(found, None)
        return found

    def channel(self, name: str) -> Channel[Any]:
        """Raises UnknownChannel."""
        channel = self.hub.channels.get(name)
        if channel is None:
            raise UnknownChannel(name, ", ".join(sorted(self.hub.channels)))
        return channel

    async def require_tenant(self, tenant: TenantId) -> None:
        """Raises NotFound, TenantInactive; StoreUnavailable, Busy."""
        known = self._access.known_tenants
        _ = known.at_once(tenant) or await known.require(tenant)

    async def check_tenants(self, session: Session, principal: Principal) -> None:
        """Those of the session's subscriptions, where the caller belongs to all. Raises Ended."""
        if not principal.everywhere:
            return  # the authenticator has left out what is not active
        for tenant in {one.topic.tenant for one in session.subscriptions.values()}:
            try:
                await self.require_tenant(tenant)
            except (StoreUnavailable, Busy):
                return
            except ProblemError as e:
                raise Ended(Closing(CloseCode.NOT_ALLOWED, e.detail)) from None

    def count(self, session: Session, principal: Principal | None) -> None:
        """Count the connection to its caller and its tenants, to its address when nobody is known. Raises Ended when
        one has too many."""
        assignments = principal.assignments if principal is not None else ()
        limits = {f"tenant {tenant}": self.settings.push_tenant_connections for tenant in assignments}
        if principal is not None and principal.kind is not PrincipalKind.ANONYMOUS:
            limits[f"caller {principal.kind} {principal.id}"] = self.settings.push_user_connections
        elif not session.origin.local:
            limits[f"address {session.origin.place}"] = self.settings.push_user_connections
        self.forget(session)
        for name, limit in limits.items():
            if self._counts[name] >= limit:
                what = name.partition(" ")[0]
                raise Ended(Closing(CloseCode.TRY_LATER, f"too many connections of this {what}; close some first"))
        session.counted = list(limits)
        self._counts.update(limits.keys())

    def forget(self, session: Session) -> None:
        """Count the connection no more."""
        for name in session.counted:
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
        session.counted = []

    async def run(self) -> None:
        """Judge sessions again when it is time, until `stop`."""
        tick_s = min(_TICK_S, self.settings.push_recheck_s)
        while not self._stopped.is_set():
            now = self.clock.monotonic()
            due = [session for session in self._open if session.check_at <= now]
            for first in range(0, len(due), _AT_ONCE):
                await asyncio.gather(*map(self._judge, due[first : first + _AT_ONCE]))
            try:
                async with asyncio.timeout(tick_s):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def _judge(self, session: Session) -> None:
        try:
            await session.judge()
        except Ended as e:
            session.subscriber.close(e.closing)
        except Exception:  # a bug with one session is not the end of the others
            log.exception("a session could not be judged", session=session.id)

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()
