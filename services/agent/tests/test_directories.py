"""Counting files: bounded, a little at a time, and never out of the directory."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from vigie_agent.collectors import directories
from vigie_agent.collectors.base import Look
from vigie_agent.collectors.directories import Directories, DirectoryUsage, DirectoryWalk, refused
from vigie_agent.configuration import Site

ENOUGH_S = 30.0


def count(directory: Path, sites_dir: str = "") -> DirectoryUsage:
    walk = DirectoryWalk(sites_dir)
    walk.advance([Site("s", directory=str(directory))], ENOUGH_S)
    return walk.known["s"]


def make(directory: Path, files: dict[str, int]) -> None:
    for name, size in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)


def test_bytes_and_files_are_those_of_the_whole_tree(tmp_path: Path) -> None:
    make(tmp_path, {"a": 10, "b/c": 20, "b/d/e": 30, "b/.hidden": 1, "näh": 2})
    assert count(tmp_path) == DirectoryUsage(63, 5, complete=True)


def test_links_are_not_followed_and_no_file_counts_twice(tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside"
    make(site, {"a": 10, "inner/b": 20})
    make(outside, {"big": 100_000})
    (site / "out").symlink_to(outside)
    (site / "loop").symlink_to(site)
    (site / "file").symlink_to(outside / "big")
    os.link(site / "a", site / "again")
    found = count(site)
    links = sum(os.lstat(site / name).st_size for name in ("out", "loop", "file"))
    assert (found.bytes, found.files, found.complete) == (30 + links, 6, True)


def test_a_directory_that_is_itself_a_link_is_not_looked_into(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", {"a": 10})
    (tmp_path / "site").symlink_to(tmp_path / "elsewhere")
    found = count(tmp_path / "site")
    assert found.problem is not None
    assert (found.bytes, found.files) == (0, 0)


@pytest.mark.parametrize("directory", ["relative", "/var/../etc", "", "/a\0b"])
def test_no_path_leads_out(directory: str) -> None:
    assert refused(directory, "") is not None


def test_directories_outside_of_that_of_the_sites_are_refused(tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    make(sites / "shop", {"a": 1})
    assert count(sites / "shop", str(sites)).complete
    assert "outside of SITES_DIR" in (count(tmp_path, str(sites)).problem or "")
    assert "outside of SITES_DIR" in (count(tmp_path / "sites-not", str(sites)).problem or "")


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "No such file" in (count(tmp_path / "none").problem or "")


def test_too_many_levels_are_said(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(directories.MAX_DEPTH + 5):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    found = count(tmp_path)
    assert not found.complete
    assert "within each other" in (found.problem or "")


def test_a_count_goes_on_where_it_was(tmp_path: Path) -> None:
    make(tmp_path, {f"{d}/{f}": 1 for d in range(20) for f in range(250)})
    walk, sites = DirectoryWalk(), [Site("s", directory=str(tmp_path))]
    seen: list[DirectoryUsage] = []
    for _ in range(10_000):
        walk.advance(sites, 0.0005)
        if "s" in walk.known:
            seen.append(walk.known["s"])
        if seen and seen[-1].complete:
            break
    assert seen[-1] == DirectoryUsage(5_000, 5_000, complete=True)
    assert len(seen) > 2
    assert [one.files for one in seen] == sorted(one.files for one in seen)
    assert not any(one.complete for one in seen[:-1])


def test_a_later_count_does_not_hide_the_last_whole_one(tmp_path: Path) -> None:
    make(tmp_path, {f"{d}/{f}": 1 for d in range(10) for f in range(250)})
    walk, sites = DirectoryWalk(again_s=0), [Site("s", directory=str(tmp_path))]
    for _ in range(10_000):
        walk.advance(sites, 0.0005)
        if walk.known.get("s", DirectoryUsage()).complete:
            break
    walk.advance(sites, 0.0005)
    assert walk.known["s"] == DirectoryUsage(2_500, 2_500, complete=True)
    walk.close()


def test_sites_take_turns_and_those_that_move_begin_anew(tmp_path: Path) -> None:
    make(tmp_path / "a", {"x": 1})
    make(tmp_path / "b", {"y": 2})
    walk = DirectoryWalk()
    walk.advance([Site("1", directory=str(tmp_path / "a")), Site("2", directory=str(tmp_path / "b"))], ENOUGH_S)
    assert {site: usage.bytes for site, usage in walk.known.items()} == {"1": 1, "2": 2}
    walk.advance([Site("1", directory=str(tmp_path / "b"))], ENOUGH_S)
    assert {site: usage.bytes for site, usage in walk.known.items()} == {"1": 2}


@given(st.dictionaries(st.from_regex(r"\A[a-c]{1,2}(/[a-c]{1,2}){0,3}/f\Z"), st.integers(0, 50), max_size=12))
@hypothesis_settings(deadline=None, max_examples=50)
def test_the_sum_is_that_of_the_files(tmp_path_factory: pytest.TempPathFactory, files: dict[str, int]) -> None:
    directory = tmp_path_factory.mktemp("tree")
    kept: dict[str, int] = {}
    for name, size in files.items():
        try:
            make(directory, {name: size})
            kept[name] = size
        except OSError:  # a file stands where a directory would
            continue
    assert count(directory) == DirectoryUsage(sum(kept.values()), len(kept), complete=True)


async def test_the_collector_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    make(tmp_path, {"a": 10})
    with ThreadPoolExecutor(1) as thread:
        collector = Directories(DirectoryWalk(), thread, 1.0)
        look = Look(sites=[Site("s", directory=str(tmp_path))])
        released = Event()
        thread.submit(released.wait, 20)  # a disk that hangs
        assert (await collector.collect(look))["directory_usage"] == {}
        assert (await collector.collect(look))["directory_usage"] == {}
        assert "hangs or is slow" in look.unavailable[0].reason
        released.set()
        async with asyncio.timeout(20):
            while not (found := (await collector.collect(look))["directory_usage"]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        assert found["s"].bytes == 10
