"""The unit file and the rule for polkit: hardened, and nothing that was typed becomes more than a value."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from vigie_agent import settings
from vigie_agent.cli import run
from vigie_agent.errors import AgentError
from vigie_agent.unit import Installation, rule, unit


def installation(user: str = "", **given: Any) -> Installation:
    return Installation(settings.load({}, host="web-1", state_dir="/x", **given), user=user)


def test_the_unit_runs_the_agent_without_rights() -> None:
    text = unit(installation(url="https://vigie.example.com"), "/opt/vigie/bin/python")
    for line in (
        'ExecStart="/opt/vigie/bin/python" -m vigie_agent run', "DynamicUser=yes", "NoNewPrivileges=yes",
        "ProtectSystem=strict", "CapabilityBoundingSet=", "StateDirectory=vigie-agent", "MemoryMax=128M",
        'Environment="VIGIE_URL=https://vigie.example.com"', "LoadCredential=vigie-agent-key:/etc/vigie-agent.key",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "vk_" not in text
    assert "AmbientCapabilities" not in text


def test_what_was_typed_is_a_value_and_nothing_else() -> None:
    text = unit(installation(sites_dir='/a"b\\c%n$HOME'))
    assert 'Environment="SITES_DIR=/a\\"b\\\\c%%n$$HOME"' in text.splitlines()
    for wrong in ("/a\nExecStart=/bin/sh", "/a\x00"):
        with pytest.raises(AgentError):
            unit(installation(sites_dir=wrong))
    with pytest.raises(AgentError, match="no name of an account"):
        unit(installation(user="root\nExecStart=x"))
    with pytest.raises(AgentError):
        unit(Installation(settings.load({}, host="h", state_dir="/x"), key_file="/a\nb"))


def test_a_rule_is_written_only_for_what_is_allowed() -> None:
    assert rule(installation()) is None
    text = rule(installation(allow_actions="restart,start", service_pattern="twoine-*,a.b"))
    assert text is not None
    assert '["restart", "start"].indexOf(action.lookup("verb"))' in text
    assert 'subject.user == "vigie-agent"' in text
    found = re.search(r'new RegExp\("(.*?)"\)', text)
    assert found is not None
    pattern = re.compile(found[1].replace("\\\\", "\\"))
    assert pattern.match("twoine-shop.service")
    assert pattern.match("a.b.service")
    for other in ("ssh.service", "axb.service", "twoine-x/../ssh.service", "twoine-shop.socket", "x-twoine-a.service"):
        assert not pattern.match(other)


def test_install_writes_both_and_print_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "vigie-agent.service"
    assert run(["install", "--print", "--unit-file", str(file), "--allow-actions", "restart"]) == 0
    assert "polkit.addRule" in capsys.readouterr().out
    assert not file.exists()
    assert run(["install", "--unit-file", str(file), "--key-file", str(tmp_path / "key")]) == 0
    assert "[Service]" in file.read_text()
    assert f"write the agent's key to {tmp_path}/key" in capsys.readouterr().out
    assert run(["install", "--unit-file", "/dev/null/x/y.service"]) == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "vigie-agent.service"
    file.write_text(unit(Installation(installation(allow_actions="start").settings, read_all=True)))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, timeout=30, check=False
    )
    complaints = [line for line in found.stderr.splitlines() if "vigie-agent" in line]
    assert complaints == []
