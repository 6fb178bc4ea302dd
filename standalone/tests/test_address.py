"""Where the front door may listen, and who would come in."""

import errno
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vigie_standalone.address import HostError, OpenToAllError, PortTakenError, usable
from vigie_standalone.cli import app
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.errors import StandaloneError
from vigie_standalone.services import Options


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIGIE_ANONYMOUS", raising=False)


def options(host: str, port: int = 0) -> Options:
    return Options(Path(".vigie"), port=port or free_port(), host=host)


@pytest.mark.parametrize("host", ["", " ", "\t"])
def test_empty_host_is_refused(host: str) -> None:
    with pytest.raises(HostError, match="is empty"):
        usable(options(host))


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "256.1.1.1", "1.2.3.4.5", "::zz", "[::1]", "a" * 300, "é.invalid", "x\0y"]
)
def test_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(HostError, match="neither an address nor a name"):
        usable(options(host))


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_host_of_another_machine_is_not_said_to_be_a_taken_port(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_ANONYMOUS", "nothing")
    with pytest.raises(HostError, match=r"is no address of this machine.*127\.0\.0\.1"):
        usable(options(host))


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "00.0", "::ffff:0.0.0.0"])
def test_network_comes_in_without_a_credential_only_where_that_is_said_twice(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        OpenToAllError, match=r"VIGIE_ANONYMOUS=nothing.*VIGIE_ANONYMOUS=default:read,write,configure,telemetry"
    ):
        usable(options(host))
    for said in ("nothing", "default:read,write,configure,telemetry"):
        monkeypatch.setenv("VIGIE_ANONYMOUS", said)
        assert usable(options(host)).host in {"0.0.0.0", "::ffff:0:0"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "127.1"])
def test_own_machine_needs_no_credential(host: str) -> None:
    assert usable(options(host)).host == {"127.0.0.2": host}.get(host, "127.0.0.1")


@pytest.mark.parametrize(("taken", "other"), [(0, 1), (65_535, -1)])
def test_taken_port_is_said_with_another_one(taken: int, other: int) -> None:
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", taken))
        except OSError:
            pytest.skip(f"port {taken} is taken here")
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} is taken.*--port {port + other}"):
            usable(options("127.0.0.1", port))


def test_port_for_administrators_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(StandaloneError, match=r"Port 80 is not for you to open.*above 1023"):
        usable(options("127.0.0.1", 80))


@pytest.mark.parametrize("said", ["everything", "read", "default:", ":read", "a b:read"])
def test_rights_that_nobody_knows_are_a_sentence_before_anything_starts(
    tmp_path: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_ANONYMOUS", said)
    done = CliRunner().invoke(app, ["up", "--data-dir", str(tmp_path), "--port", str(free_port())])
    assert isinstance(done.exception, StandaloneError)
    assert str(done.exception).startswith("VIGIE_ANONYMOUS ")
    assert not (tmp_path / "servers").exists()
