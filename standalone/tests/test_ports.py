"""Ports that a data directory remembers."""

import socket
from pathlib import Path

from vigie_standalone.embedded.ports import Ports, free_port, is_free


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


def test_damaged_memory_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"a": 12')
    assert is_free(Ports(tmp_path).get(["a"])["a"])


def test_free_port_is_never_given_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
