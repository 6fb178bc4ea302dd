"""What is believed without asking: for how long, how much of it, and when an old answer may be given again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs
from vigie_identity import credential_cache as module
from vigie_identity.credential_cache import LOG_EVERY_S, MAX_STALE_S, TTL_S, CredentialCache, Found, Rejected
from vigie_identity.errors import IssuerUnavailable
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy, ProblemError, StoreUnavailable

from tests.kit.wait import eventually

NO = Rejected("no")
Load = Callable[[], Awaitable[Found[str] | Rejected[str]]]


class Store:
    """Answers what it is told to, counts who asks, and lets them wait while it is shut."""

    def __init__(self) -> None:
        self.answers: dict[str, Found[str] | Rejected[str]] = {}
        self.error: ProblemError | None = None
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    def load(self, key: str) -> Load:
        async def load() -> Found[str] | Rejected[str]:
            self.asked += 1
            await self.open.wait()
            if self.error is not None:
                raise self.error
            return self.answers.get(key, NO)

        return load


@dataclass
class Someone:
    """A client that may cause lookups, or not."""

    client: str | None
    error: ProblemError | None = None
    times: int = 0

    def check_lookup(self) -> None:
        self.times += 1
        if self.error is not None:
            raise self.error


class Asked:
    """A cache before `store`, and how many stale results it served."""

    def __init__(self, clock: ManualClock, max_weight: int = 100) -> None:
        self.store = Store()
        self.stale = 0
        self.cache: CredentialCache[str, str] = CredentialCache(
            "words", clock, max_weight=max_weight, weigh=len, on_stale=self._count
        )

    def _count(self) -> None:
        self.stale += 1

    async def __call__(self, key: str, requester: Someone | None = None) -> str | Rejected[str]:
        return await self.cache.get(key, self.store.load(key), requester)

    def knows(self, *words: str) -> None:
        self.store.answers.update({word: Found(word) for word in words})


@pytest.fixture
def asked(clock: ManualClock) -> Asked:
    return Asked(clock)


async def test_an_answer_is_believed_for_its_time_and_then_asked_for_again(asked: Asked, clock: ManualClock) -> None:
    asked.knows("a")
    for _ in range(3):
        assert (await asked("a"), await asked("b")) == ("a", NO)
    assert asked.store.asked == 2
    assert (asked.cache.at_once("a"), asked.cache.at_once("b"), asked.cache.at_once("c")) == ("a", NO, None)
    clock.advance(TTL_S)
    assert (asked.cache.at_once("a"), asked.cache.at_once("b")) == (None, None)
    asked.store.answers = {"b": Found("b")}
    assert (await asked("a"), await asked("b")) == (NO, "b")


async def test_an_answer_that_ends_is_believed_no_longer(asked: Asked, clock: ManualClock) -> None:
    asked.store.answers["a"] = Found("a", expires_in_s=2)
    await asked("a")
    clock.advance(2)
    asked.store.error = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await asked("a")
    asked.store.error = None
    asked.store.answers["a"] = Found("a", expires_in_s=-1)
    await asked("a")
    assert asked.cache.at_once("a") is None


@pytest.mark.parametrize("error", [StoreUnavailable, IssuerUnavailable])
async def test_who_is_known_stays_known_while_nobody_can_be_asked_and_each_time_is_counted(
    asked: Asked, clock: ManualClock, error: type[ProblemError]
) -> None:
    asked.knows("a")
    await asked("a")
    asked.store.error = error()
    clock.advance(TTL_S)
    with capture_logs() as logs:
        assert [await asked("a") for _ in range(20)] == ["a"] * 20
        assert asked.store.asked == 2, "not each request asks"
        clock.advance(LOG_EVERY_S)
        await asked("a")
    assert asked.stale == 21
    assert [(line["log_level"], line["answers"]) for line in logs] == [("warning", 1), ("warning", 20)]
    with pytest.raises(error):
        await asked("b")
    clock.advance(MAX_STALE_S - TTL_S - LOG_EVERY_S)
    with pytest.raises(error):
        await asked("a")
    asked.store.error = None
    assert await asked("a") == "a"
    assert asked.stale == 21


async def test_a_slow_store_is_waited_for_a_moment_and_heard_when_it_answers(
    asked: Asked, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKUP_WAIT_S", 0.01)
    asked.knows("a")
    await asked("a")
    clock.advance(TTL_S)
    asked.store.open.clear()
    asked.store.answers = {}
    assert await asked("a") == "a"
    assert asked.stale == 1
    asked.store.open.set()
    await eventually(lambda: asked.cache.at_once("a") == NO)


async def test_too_much_at_once_is_no_reason_to_believe_what_is_old(
    asked: Asked, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REFRESHES", 1)
    asked.knows("a", "b")
    assert (await asked("a"), await asked("b")) == ("a", "b")
    clock.advance(TTL_S)
    asked.store.open.clear()
    waiting = asyncio.ensure_future(asked("a"))
    await eventually(lambda: asked.store.asked == 3)
    with pytest.raises(Busy):
        await asked("b")
    asked.store.error = Busy("questions")
    asked.store.open.set()
    with pytest.raises(Busy):
        await waiting
    assert asked.stale == 0


async def test_when_those_who_ask_get_no_answer_others_need_not_wait_for_room(
    asked: Asked, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REFRESHES", 1)
    asked.knows("a", "b")
    assert (await asked("a"), await asked("b")) == ("a", "b")
    clock.advance(TTL_S)
    asked.store.open.clear()
    assert await asked("a") == "a"
    clock.advance(module.LOOKUP_WAIT_S + 0.01)
    assert await asked("b") == "b"
    assert asked.stale == 2
    asked.store.open.set()


async def test_strangers_take_no_place_of_who_is_known(
    asked: Asked, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FIRST_LOOKUPS", 2)
    asked.knows("a")
    await asked("a")
    clock.advance(TTL_S)
    asked.store.open.clear()
    guesses = [asyncio.ensure_future(asked(f"guess {i}")) for i in range(5)]
    await eventually(lambda: sum(guess.done() for guess in guesses) == 3)
    known = asyncio.ensure_future(asked("a"))
    await eventually(lambda: asked.store.asked == 4)
    asked.store.answers = {}  # revoked
    asked.store.open.set()
    assert await known == NO
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(answer, Busy) for answer in answers) == 3
    assert asked.stale == 0


async def test_one_place_has_a_part_of_the_places(asked: Asked) -> None:
    here, there, this_machine = Someone("here"), Someone("there"), Someone(None)
    asked.store.open.clear()
    most = module.MAX_FIRST_LOOKUPS_PER_CLIENT
    guesses = [asyncio.ensure_future(asked(f"guess {i}", here)) for i in range(most + 5)]
    guesses.append(asyncio.ensure_future(asked("guess 0", here)))  # waits with the first
    await eventually(lambda: sum(guess.done() for guess in guesses) == 5)
    others = [asyncio.ensure_future(asked("other", there))]
    others += [asyncio.ensure_future(asked(f"own {i}", this_machine)) for i in range(most + 1)]
    await eventually(lambda: asked.store.asked == 2 * most + 2)
    asked.store.open.set()
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(answer, Busy) for answer in answers) == 5
    assert set(await asyncio.gather(*others)) == {NO}
    assert await asked("guess again", here) == NO


async def test_who_may_not_ask_is_stopped_only_where_a_stranger_has_to_be_looked_up(
    asked: Asked, clock: ManualClock
) -> None:
    someone = Someone("here", Busy("questions"))
    asked.knows("a")
    assert (await asked("a"), await asked("refused")) == ("a", NO)
    assert (await asked("a", someone), await asked("refused", someone)) == ("a", NO)
    clock.advance(TTL_S)
    assert await asked("a", someone) == "a"
    assert someone.times == 0
    before = asked.store.asked
    with pytest.raises(Busy):
        await asked("new", someone)
    assert (someone.times, asked.store.asked) == (1, before)


async def test_one_look_up_serves_all_who_ask_at_once(asked: Asked) -> None:
    asked.knows("a")
    asked.store.open.clear()
    waiting = [asyncio.ensure_future(asked("a")) for _ in range(50)]
    await eventually(lambda: asked.store.asked == 1)
    waiting[0].cancel()  # the one who asked first goes away
    asked.store.open.set()
    assert await asyncio.gather(*waiting[1:]) == ["a"] * 49
    assert asked.store.asked == 1


async def test_what_is_known_is_bounded_by_its_weight(clock: ManualClock) -> None:
    asked = Asked(clock, max_weight=10)
    asked.knows("aaaa", "bbbb", "cccc", "d" * 11, "ee")
    for word in ("aaaa", "bbbb", "aaaa", "cccc"):
        await asked(word)
    assert [asked.cache.at_once(word) for word in ("aaaa", "bbbb", "cccc")] == ["aaaa", None, "cccc"]
    assert await asked("ee") == "ee"
    assert asked.cache._weight == 10
    assert await asked("d" * 11) == "d" * 11
    assert (asked.cache._weight, len(asked.cache._known)) == (0, 0)


async def test_guesses_push_out_nobody_who_is_known_and_are_bounded(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REJECTED", 5)
    asked.knows("a")
    await asked("a")
    for i in range(20):
        assert await asked(f"guess {i}") == NO
    assert len(asked.cache._rejected) == 5
    assert asked.cache.at_once("a") == "a"


async def test_what_is_under_way_ends_with_the_memory(asked: Asked) -> None:
    asked.store.open.clear()
    waiting = asyncio.ensure_future(asked("a"))
    await eventually(lambda: asked.store.asked == 1)
    await asked.cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
