"""The accounts of one scope: a bounded number, of which those that have not asked for longest are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from vigie_runtime.clock import Clock

from vigie_limits.account import Account, Limit

OTHERS: Final = "*"
"""Who shares an account when there is room for no more."""
_TRIES: Final = 8


class Accounts:
    """By caller. What is forgotten Redis still counts; while it is away (`alone`), nobody gets rid of a refusal by
    being forgotten."""

    __slots__ = ("_accounts", "_alone", "_clock", "_most")

    def __init__(self, most: int, clock: Clock, alone: Callable[[], bool]) -> None:
        self._most = most
        self._clock = clock
        self._alone = alone
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def get(self, limit: Limit, who: str) -> Account:
        """The account of a caller; to be asked for anew after every await."""
        account = self._accounts.get(who)
        if account is not None and (account.limit is limit or account.limit == limit):
            return account
        return self._open(limit, who)

    def touch(self, account: Account) -> None:
        """It asks for more: let it be forgotten last."""
        if account.who in self._accounts:
            self._accounts.move_to_end(account.who)

    def __len__(self) -> int:
        return len(self._accounts)

    def _open(self, limit: Limit, who: str) -> Account:
        tries = 0
        while who not in self._accounts and len(self._accounts) >= self._most:
            oldest, account = next(iter(self._accounts.items()))
            if not (self._alone() and account.limited(self._clock.monotonic())):
                del self._accounts[oldest]
                continue
            self._accounts.move_to_end(oldest)
            tries += 1
            if tries == _TRIES:
                return self._shared(limit)
        account = self._accounts[who] = Account(limit, who)
        return account

    def _shared(self, limit: Limit) -> Account:
        account = self._accounts.get(OTHERS)
        if account is None or account.limit != limit:
            account = self._accounts[OTHERS] = Account(limit, OTHERS)
        return account
