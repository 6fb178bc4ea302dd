"""Ports that a data directory remembers."""

import json
import socket
from pathlib import Path

import pytest
from vigie_standalone.embedded.ports import HIGHEST, LOWEST, Ports, free_port


def test_ports_are_kept_across_restarts(tmp_path: Path) -> None:
    first = Ports(tmp_path).get(["a", "b"])
    assert Ports(tmp_path).get(["a", "b"]) == first
    assert first["a"] != first["b"]


def test_taken_port_is_replaced_and_the_new_one_is_remembered(tmp_path: Path) -> None:
    first = Ports(tmp_path).get(["a", "b"])
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["a"]))
        other.listen()
        second = Ports(tmp_path).get(["a", "b"])
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]
    assert Ports(tmp_path).get(["a", "b"]) == second


@pytest.mark.parametrize(
    "text",
    [b'{"a": 12', b"\xff\xfe", b"[]", b"7", b"[" * 100_000]
    + [json.dumps({"a": port}).encode() for port in (0, -1, 65_536, 10**30, True, 1.5, "80", None, [80], {})],
)
def test_damaged_memory_costs_only_the_memory(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "ports.json").write_bytes(text)
    port = Ports(tmp_path).get(["a"])["a"]
    assert LOWEST <= port <= HIGHEST
    assert Ports(tmp_path).get(["a"]) == {"a": port}


def test_port_that_two_have_is_one_of_theirs(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "ports.json").write_text(json.dumps({"a": port, "b": port}))
    assert len(set(Ports(tmp_path).get(["a", "b"]).values())) == 2


def test_free_port_is_never_given_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
