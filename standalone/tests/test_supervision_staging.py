"""Statistics of the replaced system put in order: each line in one report, and always in the same."""

from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_standalone.supervision.staging import NEAR_MS, LeftOut, Staged, Staging


def staged(servers: list[int], sites: list[tuple[int, str]], *, all_: bool) -> list[Staged | LeftOut]:
    with Staging() as staging:
        for line, time in enumerate(servers, 1):
            assert staging.server(time, line, {}) == 0
        for line, (time, site) in enumerate(sites, 1):
            assert staging.site(time, line, {"site": site}) == 0
        return list(staging.reports(whole=all_))


TIMES = st.lists(st.integers(0, 40), max_size=12, unique=True)
PAIRS = st.lists(st.tuples(st.integers(0, 4000), st.sampled_from("abc")), max_size=40, unique=True)


@settings(max_examples=60, deadline=None)
@given(TIMES, PAIRS, st.booleans())
def test_every_line_is_in_one_report_of_a_time_of_its_own(
    minutes: list[int], pairs: list[tuple[int, str]], all_: bool
) -> None:
    servers = [60_000 * one for one in minutes]
    sites = [(1000 * seconds, site) for seconds, site in pairs]
    made = staged(servers, sites, all_=all_)
    reports = [one for one in made if isinstance(one, Staged)]
    left = [one for one in made if isinstance(one, LeftOut)]
    times = [one.at_ms for one in reports]
    assert times == sorted(set(times))
    told = [line for one in reports for line in one.site_lines] + [one.line for one in left if not one.server]
    assert sorted(told) == list(range(1, len(sites) + 1))
    told = [one.server_line for one in reports if one.server_line] + [one.line for one in left if one.server]
    assert sorted(told) == list(range(1, len(servers) + 1))
    for one in reports:
        assert len({part["site"] for part in one.sites}) == len(one.sites)
        for line in one.site_lines:
            time = sites[line - 1][0]
            nearest = min(abs(time - server) for server in servers)
            assert abs(time - one.at_ms) <= min(nearest, NEAR_MS)


@settings(max_examples=60, deadline=None)
@given(TIMES, PAIRS, st.integers(0, 40), st.integers(0, 40))
def test_a_later_dump_says_nothing_else_of_what_was_counted(
    minutes: list[int], pairs: list[tuple[int, str]], gone: int, cut: int
) -> None:
    """The replaced system forgets its oldest statistics, and goes on between two dumps."""
    servers = sorted(60_000 * one for one in minutes)
    sites = sorted((1000 * seconds, site) for seconds, site in pairs)
    early = staged([one for one in servers if one < 60_000 * cut], [one for one in sites if one[0] < 60_000 * cut],
                   all_=False)  # fmt: skip
    late_sites = [one for one in sites if one[0] >= 60_000 * gone]
    late = staged([one for one in servers if one >= 60_000 * gone], late_sites, all_=True)
    before = {one.at_ms: {sites[line - 1] for line in one.site_lines} for one in early if isinstance(one, Staged)}
    counted = {pair for some in before.values() for pair in some}
    for one in late:
        if isinstance(one, Staged) and one.at_ms not in before:
            new = {late_sites[line - 1] for line in one.site_lines}
            assert not new & counted, "it would count twice"
