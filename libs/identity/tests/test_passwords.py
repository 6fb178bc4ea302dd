"""Passwords: what is right, what is refused, and that work is bounded and does not tell who exists."""

import asyncio
import threading
import time

import pytest
from argon2 import extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_identity import passwords as module
from vigie_identity.errors import InvalidField
from vigie_identity.passwords import MAX_CHARS, HashCost, Passwords
from vigie_runtime.errors import Busy

from tests.kit.cpu import cpu_at_most
from tests.kit.wait import eventually

CHEAP = HashCost(memory_kib=64, passes=1, lanes=1)
RIGHT = "correct horse battery"


@pytest.fixture
def passwords():
    made = Passwords(CHEAP)
    yield made
    made.close()


async def test_only_the_password_itself_is_right(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT, "alice")
    assert RIGHT not in stored
    assert stored != await passwords.hash(RIGHT, "alice"), "a salt of its own for every hash"
    assert await passwords.verify(stored, RIGHT)
    for wrong in ("", RIGHT + " ", RIGHT.upper(), RIGHT[:-1], "x" * 100_000, "\ud800"):
        assert not await passwords.verify(stored, wrong)


@given(st.text(max_size=300))
@settings(max_examples=50, deadline=None)
async def test_any_text_is_hashed_and_verified_or_refused_but_never_breaks(text: str) -> None:
    passwords = Passwords(CHEAP)
    try:
        stored = await passwords.hash(text, "alice")
    except InvalidField:
        assert not await passwords.verify(await passwords.hash(RIGHT, "alice"), text)
    else:
        assert await passwords.verify(stored, text)
    finally:
        passwords.close()


async def test_a_character_typed_in_two_ways_is_the_same(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hash("pass phrase zo\u00eb", "alice"), "pass phrase zoe\u0308")


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * (MAX_CHARS + 1), "half a pair \ud800"])
async def test_a_password_too_short_or_too_long_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await passwords.hash(password, "alice")
    assert password not in str(caught.value) or not password


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "Password1234", "p4ssw0rd1234", "123456789012", "qwertyuiop12", "aaaaaaaaaaaa", "abcabcabcabc",
        "administrator", "adminadminadmin", "letmeinletmein",
    ],
)  # fmt: skip
async def test_a_password_that_is_often_used_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidField, match="easy to guess"):
        await passwords.hash(password, "alice")
    with pytest.raises(InvalidField, match="easy to guess"):
        await passwords.check(password, "alice")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice.of.wonderland", "alice.of.wonderland"),
        ("Alice Of Wonderland", "aLICE oF wONDERLAND"),
        ("wonderland", "wonderland-2027"),
        ("alice", "alice-alice-alice"),
        ("zoé", "zoézoézoézoé 12"),
    ],
)
async def test_the_name_of_the_account_is_no_password(passwords: Passwords, name: str, password: str) -> None:
    with pytest.raises(InvalidField, match=r"name of the account|easy to guess"):
        await passwords.hash(password, name)


@pytest.mark.parametrize("name", ["alice", "correct horse", "a", ""])
async def test_unrelated_words_are_a_good_password(passwords: Passwords, name: str) -> None:
    for good in ("correct horse battery staple", "another good password", "pass-7c1f-word", "x9!kQ2@vL5#m"):
        await passwords.check(good, name)


async def test_judging_the_worst_password_takes_a_while_at_most(passwords: Passwords) -> None:
    await passwords.check("a first one reads the lists", "alice")
    with cpu_at_most(0.4):  # only its beginning is judged
        await passwords.check("4@8({[</369&#!1/|0$5+7%2" * 10, "alice")


async def test_passwords_that_are_judged_keep_no_login_waiting_and_are_bounded_too(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(module, "new_password", lambda password, _name: gate.wait() and password)
    judged = [asyncio.ensure_future(passwords.check(RIGHT, "alice")) for _ in range(passwords._judge.room - 1)]
    judged.append(asyncio.ensure_future(passwords.hash(RIGHT, "alice")))
    await asyncio.sleep(0)
    for more in (passwords.check, passwords.hash):
        with pytest.raises(Busy):
            await more(RIGHT, "alice")
    async with asyncio.timeout(10):
        assert not await passwords.verify(None, RIGHT)
    gate.set()
    assert (await asyncio.gather(*judged))[-1]


async def test_an_account_that_does_not_exist_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash(RIGHT, "alice")
    verified: list[str] = []
    original = passwords._hasher.verify

    def counting(hashed: str, password: str) -> bool:
        verified.append(hashed)
        return original(hashed, password)

    monkeypatch.setattr(type(passwords._hasher), "verify", lambda _self, hashed, password: counting(hashed, password))
    assert await passwords.verify(stored, RIGHT)
    assert not await passwords.verify(None, RIGHT)
    assert not await passwords.verify(None, "")
    assert not await passwords.verify(stored, "x" * 1_000)
    assert len(verified) == 4
    assert all(extract_parameters(hashed) == extract_parameters(stored) for hashed in verified)
    passwords.close()


async def test_a_hash_of_other_parameters_is_outdated_and_still_right(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT, "alice")
    stronger = Passwords(HashCost(memory_kib=128, passes=2, lanes=1))
    assert not passwords.outdated(stored)
    assert stronger.outdated(stored)
    assert await stronger.verify(stored, RIGHT)
    assert not stronger.outdated(await stronger.hash(RIGHT, "alice"))
    stronger.close()


async def test_what_is_no_hash_is_never_right(passwords: Passwords) -> None:
    for stored in ("", "plain", "$argon2id$v=19$m=64,t=1,p=1$bad"):
        assert not await passwords.verify(stored, stored)


async def test_a_few_at_a_time_and_a_bounded_queue_while_the_loop_goes_on() -> None:
    passwords = Passwords(CHEAP, at_a_time=1, waiting=2)
    gate = threading.Event()
    running = [asyncio.ensure_future(passwords._hashes.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.verify(None, RIGHT)
    running[0].cancel()
    await asyncio.sleep(0)
    with pytest.raises(Busy):  # the thread of the one who went away still works
        await passwords.verify(None, RIGHT)
    gate.set()
    assert await asyncio.gather(*running[1:]) == [True, True]
    await eventually(lambda: passwords._hashes.held == 0)
    assert not await passwords.verify(None, RIGHT)
    passwords.close()


async def test_the_cost_of_production_is_paid_beside_the_loop() -> None:
    passwords = Passwords()
    begin = time.perf_counter()
    hashing = asyncio.ensure_future(passwords.hash(RIGHT, "alice"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert time.perf_counter() - begin > 0.01, "too cheap to stop anybody"
    assert turns > 10
    assert (await hashing).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    passwords.close()
