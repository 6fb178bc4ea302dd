"""What is kept of posted messages, on a real store: who dies at any moment posts at most one message too many."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from vigie_alerting.channels.drafts import Draft
from vigie_alerting.sender.failpoints import VARIABLE, Point
from vigie_contracts.alerts import Channel
from vigie_storage.mongo import transaction

from services.alerting.tests.oncall import BY
from services.alerting.tests.samples import FINGERPRINT, resolved, transition
from services.alerting.tests.shop import Shop
from services.alerting.tests.slack_double import SlackDouble
from services.alerting.tests.stage import ACME, Stage, crash_at
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

CHANNEL = [Channel("channel", "ops")]


@pytest_asyncio.fixture(loop_scope="session")
async def shop(stage: Stage) -> AsyncIterator[Shop]:
    slack = await SlackDouble().start()
    made = await Shop.opened(stage, slack)
    made.use()
    secrets: dict[str, str | None] = dict(slack.secrets)
    await stage.book.create(ACME, Draft("ops", "slack", "#alerts", secrets), BY)
    yield made
    await slack.stop()


async def test_a_process_that_is_killed_there_leaves_one_message_too_many(shop: Shop, mongo_uri: str) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.alerting.tests.shop", mongo_uri, shop.stage.database.name,
        env={**os.environ, VARIABLE: Point.AFTER_POST.value},
    )  # fmt: skip
    assert await asyncio.wait_for(dying.wait(), 40) == -signal.SIGKILL
    assert len(shop.slack.messages) == 1
    shop.stage.clock.ahead_s += 9  # its lease is over
    async with shop.stage.sending():
        await shop.all_sent()
        await shop.stage.dispatch(resolved(channels=CHANNEL))
        await shop.all_sent()
    headings = sorted(one["attachments"][0]["fallback"].partition("]")[0] for one in shop.slack.messages.values())
    assert headings == ["[FIRING", "[RESOLVED"]


async def test_who_dies_between_posting_and_remembering_posts_it_once_more_and_edits_that_one(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    shop.use(crash_at(Point.AFTER_POST))
    async with shop.stage.sending():
        await eventually(lambda: len(shop.slack.messages) == 1)
    [orphan] = shop.slack.messages
    assert (await shop.stage.states()) == ["pending"]
    shop.use()
    shop.stage.clock.ahead_s += 9  # its lease is over
    async with shop.stage.sending():
        await shop.all_sent()
        assert len(shop.slack.messages) == 2
        await shop.stage.dispatch(resolved(channels=CHANNEL))
        await shop.all_sent()
    assert len(shop.slack.messages) == 2
    headings = {ts: one["attachments"][0]["fallback"][:10] for ts, one in shop.slack.messages.items()}
    assert headings.pop(orphan) == "[FIRING] H"
    assert list(headings.values()) == ["[RESOLVED]"]


@pytest.mark.parametrize("point", [Point.BEFORE_SEND, Point.AFTER_SEND])
async def test_who_dies_at_another_step_of_sending_repeats_nothing(shop: Shop, point: Point) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending(crash_at(point)):
        await asyncio.sleep(0)
        await eventually(lambda: point is Point.BEFORE_SEND or bool(shop.slack.messages))
    shop.stage.clock.ahead_s += 9
    async with shop.stage.sending():
        await shop.all_sent()
    assert len(shop.slack.messages) == 1, "it is remembered that it was told"
    assert shop.slack.replies == []


async def test_what_changes_while_a_message_is_edited_is_shown_in_the_end(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending():
        await shop.all_sent()
    touched = [FINGERPRINT]
    await transaction(shop.stage.database, lambda session: shop.messages.touch(ACME, touched, session))
    [claimed] = await shop.messages.claim(10)
    assert await shop.messages.claim(10) == [], "somebody has it"
    shop.muted = True  # meanwhile
    await transaction(shop.stage.database, lambda session: shop.messages.touch(ACME, touched, session))
    assert not await shop.messages.write(claimed), "what was rendered before is not written"
    assert await shop.keeper().once()
    assert shop.slack.heading().startswith("[SILENCED]")
    assert not await shop.keeper().once()


async def test_two_replicas_that_edit_one_message_end_with_the_truth(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending():
        await shop.all_sent()
        await shop.stage.dispatch(resolved(channels=CHANNEL))
        for _ in range(5):
            await shop.messages.touch_all(ACME)
            await asyncio.gather(*(shop.keeper().once() for _ in range(3)))
        await shop.all_sent()
    while await shop.keeper().once():
        pass
    assert shop.slack.heading().startswith("[RESOLVED]")
    assert len(shop.slack.messages) == 1


async def test_a_message_whose_channel_is_gone_is_left_alone(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending():
        await shop.all_sent()
    [channel] = await shop.stage.store.all(ACME)
    await shop.stage.book.remove(ACME, channel.id, BY)
    await shop.messages.touch_all(ACME)
    assert await shop.keeper().once()
    assert not await shop.keeper().once()
    assert shop.slack.heading().startswith("[FIRING]")


async def test_a_message_whose_channel_posts_no_more_by_a_token_is_left_alone(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending():
        await shop.all_sent()
    [channel] = await shop.stage.store.all(ACME)
    await shop.stage.book.change(ACME, channel.id, Draft("ops", "email", "ops@example.com"), BY)
    await shop.messages.touch_all(ACME)
    assert await shop.keeper().once()
    assert not await shop.keeper().once()
    assert shop.slack.heading().startswith("[FIRING]")


async def test_an_edit_that_slack_does_not_take_now_is_made_later(shop: Shop) -> None:
    await shop.stage.dispatch(transition(channels=CHANNEL))
    async with shop.stage.sending():
        await shop.all_sent()
    shop.muted, shop.slack.refuse["chat.update"] = True, ["ratelimited", "internal_error"]
    await shop.messages.touch_all(ACME)
    keeper = shop.keeper()
    for _ in range(2):
        assert await keeper.once()
        assert not await keeper.once(), "not at once"
        assert shop.slack.heading().startswith("[FIRING]")
        shop.stage.clock.ahead_s += 10
    assert await keeper.once()
    assert shop.slack.heading().startswith("[SILENCED]")
