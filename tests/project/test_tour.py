"""The README's tour can be read by a machine. That it is true is shown end to end, against a running system."""

import pytest

from tests.project.repo import text
from tools.tour import Step, fits, matches, steps

SAMPLE = """
```console
$ curl -X POST http://localhost:3000/x \\
    -d '{"a": 1}'
{"ok": true}
$ true
$ seq 2
1
2
```
```sh
$ not part of it
```
"""


def test_steps_are_commands_with_their_output() -> None:
    found = [(step.command, step.expected) for step in steps(SAMPLE)]
    assert found == [
        ("curl -X POST http://localhost:3000/x \\\n    -d '{\"a\": 1}'", ('{"ok": true}',)),
        ("true", ()),
        ("seq 2", ("1", "2")),
    ]


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        (["a"], ["a", "b"], False),
        (['{"t": ..., "v": 1}'], ['{"t": 123, "v": 1}'], True),
        (['{"t": ..., "v": 1}'], ['{"t": 123, "v": 2}'], False),
        (["a", "...", "z"], ["a", "b", "c", "z"], True),
        (["a", "...", "z"], ["a", "z"], True),
        (["a", "...", "z"], ["a", "b"], False),
        ([], [], True),
    ],
)
def test_dots_stand_for_anything(expected: list[str], output: list[str], same: bool) -> None:
    assert matches(expected, output) is same


def test_varying_numbers_keep_their_shape() -> None:
    step = Step("x", ('{"at":"2026-01-31T12:00:00.000Z","points":[[1,null],[2,3.5]]}',), varies=True)
    assert fits(step, ['{"at":"2027-02-01T00:00:00.123Z","points":[[7,-1e-05]]}'])
    assert not fits(step, ['{"when":"2027-02-01T00:00:00.123Z","points":[[7,1]]}'])


def test_readme_has_a_tour_that_shows_output() -> None:
    tour = [step for step in steps(text("README.md")) if not step.starts_vigie]
    assert len(tour) >= 5
    assert all(step.expected for step in tour)
