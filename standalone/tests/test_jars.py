"""The cache of Kafka's jars: pinned, verified at every start, repaired when broken."""

import hashlib
import threading
from pathlib import Path

import pytest
from vigie_standalone.embedded import jars
from vigie_standalone.errors import DownloadError, StoppingError


def jar(name: str, content: bytes) -> jars.Jar:
    return jars.Jar("a.group", name, "1.0", hashlib.sha256(content).hexdigest())


class Repository:
    """Stands for Maven Central; counts what was asked of it."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.asked: list[str] = []

    def fetch(self, wanted: jars.Jar, scratch: Path, _progress: jars.Progress) -> Path:
        self.asked.append(wanted.artifact)
        path = scratch / wanted.file_name
        path.write_bytes(self.contents[wanted.artifact])
        return path


def test_first_start_fetches_every_jar_and_the_next_none(tmp_path: Path) -> None:
    repository = Repository({"one": b"1", "two": b"2"})
    wanted = [jar("one", b"1"), jar("two", b"2")]
    paths = jars.ensure(tmp_path, wanted, fetch=repository.fetch)
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert jars.ensure(tmp_path, wanted, fetch=repository.fetch) == paths
    assert sorted(repository.asked) == ["one", "two"]


@pytest.mark.parametrize("damage", [b"", b"on", b"something else"])
def test_broken_cache_file_is_fetched_again_and_only_that_one(tmp_path: Path, damage: bytes) -> None:
    repository = Repository({"one": b"one", "two": b"2"})
    wanted = [jar("one", b"one"), jar("two", b"2")]
    paths = jars.ensure(tmp_path, wanted, fetch=repository.fetch)
    paths[0].write_bytes(damage)
    repository.asked.clear()
    assert jars.ensure(tmp_path, wanted, fetch=repository.fetch)[0].read_bytes() == b"one"
    assert repository.asked == ["one"]


def test_fetched_file_with_another_hash_is_refused_and_never_cached(tmp_path: Path) -> None:
    wanted = [jar("one", b"one")]
    with pytest.raises(DownloadError, match=r"one-1\.0\.jar.*pinned is"):
        jars.ensure(tmp_path, wanted, fetch=Repository({"one": b"evil"}).fetch)
    assert not (tmp_path / "one-1.0.jar").exists()


def test_interrupted_fetch_keeps_what_was_complete_and_leaves_no_scratch(tmp_path: Path) -> None:
    (tmp_path / "fetch-killed").mkdir(parents=True)
    repository = Repository({"one": b"1", "two": b"broken"})
    wanted = [jar("one", b"1"), jar("two", b"2")]
    with pytest.raises(DownloadError):
        jars.ensure(tmp_path, wanted, fetch=repository.fetch)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock") == ["one-1.0.jar"]


def test_fetch_ends_at_the_next_block_and_begins_no_other_file_once_everything_stops(tmp_path: Path) -> None:
    stopping = threading.Event()
    begun: list[str] = []

    def slow(wanted: jars.Jar, _scratch: Path, progress: jars.Progress) -> Path:
        begun.append(wanted.artifact)
        with progress.file(wanted.file_name, 1 << 40) as block:
            while True:
                block(1)
                stopping.set()

    with pytest.raises(StoppingError):
        jars.ensure(tmp_path, [jar(str(i), b"1") for i in range(50)], fetch=slow, stopping=stopping)
    assert 1 <= len(begun) <= jars.PARALLEL


def test_failed_download_says_what_to_do() -> None:
    text = str(DownloadError("kafka.jar", "the repository did not answer (ConnectTimeout)"))
    assert "start again" in text
    assert "KAFKA_BOOTSTRAP_SERVERS" in text


def test_unreachable_repository_becomes_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "request", refuse)
    with pytest.raises(DownloadError, match="did not answer"):
        jars.ensure(tmp_path, [jar("one", b"1")])


def test_lock_file_pins_one_version_of_kafka_and_of_every_jar() -> None:
    pinned = jars.read_lock()
    assert len({j.artifact for j in pinned}) == len(pinned) > 40
    assert {j.version for j in pinned if j.group == "org.apache.kafka"} == {"4.3.1"}
    assert all(len(j.sha256) == 64 for j in pinned)
