"""What was stored once is understood for ever: samples of every kind that mutes, as they stand in MongoDB."""

from __future__ import annotations

import msgspec
import pytest
from vigie_alerting.inhibition import Inhibition
from vigie_alerting.maintenance import MaintenanceWindow
from vigie_alerting.silences.model import Silence
from vigie_alerting.times.interval import TimeInterval

MATCHERS = '[{"label":"host","operator":"=","value":"a"},{"label":"pod","operator":"!~","value":"test-.*"}]'
SAMPLES: list[tuple[type[msgspec.Struct], str]] = [
    (
        Silence,
        f'{{"matchers":{MATCHERS},"timing":{{"starts":1790000100000,"ends":1790003700000}},"comment":"disks",'
        '"createdBy":"anna","createdAt":1790000100000}',
    ),
    (
        Silence,
        f'{{"matchers":{MATCHERS},"timing":{{"starts":1790000100000,"rrule":"FREQ=WEEKLY;BYDAY=SU",'
        '"zone":"Europe/Paris","durationMs":7200000},"comment":"disks","createdBy":"anna","createdAt":1790000100000}',
    ),
    (
        Silence,
        f'{{"matchers":{MATCHERS},"timing":{{"starts":1790000100000,"ends":1790003700000}},"comment":"disks",'
        '"createdBy":"anna","caller":"a key","createdAt":1790000100000}',
    ),
    (
        MaintenanceWindow,
        f'{{"matchers":{MATCHERS},"timing":{{"starts":1790000100000,"ends":1790003700000}},"comment":"backup",'
        '"createdBy":"anna","createdAt":1790000100000}',
    ),
    (Inhibition, f'{{"source":{MATCHERS},"target":{MATCHERS},"equal":["host","site"],"comment":"says enough"}}'),
    (
        TimeInterval,
        '{"parts":[{"times":[[540,1020]],"weekdays":[[1,5]],"daysOfMonth":[[-3,-1]],"months":[[1,3]],'
        '"years":[[2026,2027]],"location":"Europe/Paris"}],"comment":"office hours"}',
    ),
]


@pytest.mark.parametrize(("kind", "text"), SAMPLES, ids=[kind.__name__ for kind, _ in SAMPLES])
def test_a_sample_is_read_and_written_as_it_was(kind: type[msgspec.Struct], text: str) -> None:
    assert msgspec.json.encode(msgspec.json.decode(text, type=kind)).decode() == text
    with_more = text.removesuffix("}") + ',"ofALaterVersion":1}'
    assert msgspec.json.decode(with_more, type=kind) == msgspec.json.decode(text, type=kind)
