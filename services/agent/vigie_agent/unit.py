"""The unit file that runs an agent under systemd, and the rule by which it may control services: texts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vigie_agent.errors import BadSettingError
from vigie_agent.patterns import SUFFIX, patterns
from vigie_agent.settings import CREDENTIAL, VARIABLES, AgentSettings

NAME: Final = "vigie-agent"
UNIT_FILE: Final = "/etc/systemd/system/vigie-agent.service"
RULE_FILE: Final = "/etc/polkit-1/rules.d/50-vigie-agent.rules"
KEY_FILE: Final = "/etc/vigie-agent.key"
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_HARDENED: Final = """\
# What it may: read /proc and file sizes, write its own state directory, speak to the system bus and to Vigie.
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

MemoryHigh=96M
MemoryMax=128M
CPUQuota=20%
TasksMax=64
LimitNOFILE=1024
Nice=5
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What `install` was told. `user`: an existing account, or empty for one that systemd makes for the time it
    runs."""

    settings: AgentSettings
    key_file: str = KEY_FILE
    user: str = ""
    read_all: bool = False
    """Whether it may look into directories of sites that are closed to others (CAP_DAC_READ_SEARCH)."""

    @property
    def account(self) -> str:
        """The account it runs as."""
        return self.user or NAME


def unit(wanted: Installation, program: str = sys.executable) -> str:
    """The unit file. Raises BadSettingError for what cannot stand in one."""
    if wanted.user and not _USER.match(wanted.user):
        raise BadSettingError("--user", f"cannot be {wanted.user!r}: it is no name of an account")
    account = f"User={wanted.user}" if wanted.user else "DynamicUser=yes"
    capability = "CAP_DAC_READ_SEARCH" if wanted.read_all else ""
    capabilities = f"CapabilityBoundingSet={capability}\n" + (f"AmbientCapabilities={capability}\n" * wanted.read_all)
    variables = "\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in environment(wanted).items())
    return f"""\
[Unit]
Description=Agent of Vigie: reports this machine, its sites and their services
Wants=network-online.target
After=network-online.target dbus.service

[Service]
Type=exec
ExecStart={_quoted(program)} -m vigie_agent run
{account}
StateDirectory={NAME}
StateDirectoryMode=0700
LoadCredential={CREDENTIAL}:{_plain("--key-file", wanted.key_file)}
{variables}
Restart=always
RestartSec=5
TimeoutStopSec=15
{capabilities}
{_HARDENED}
[Install]
WantedBy=multi-user.target
"""


def environment(wanted: Installation) -> Mapping[str, str]:
    """The variables of the unit: what differs from what an agent does unless told otherwise."""
    settings = wanted.settings
    always = {"url": settings.url, "host": settings.host}
    fields = ("service_pattern", "allow_actions", "sites_dir", "interval_s", "spool_bytes", "walk_ms", "ca_file")
    told = {name: getattr(settings, name) for name in fields}
    default = AgentSettings(host=settings.host, state_dir=settings.state_dir)
    differing = {name: str(value) for name, value in told.items() if value != getattr(default, name)}
    return {VARIABLES[name]: value for name, value in (always | differing).items()}


def rule(wanted: Installation) -> str | None:
    """A rule for polkit: the agent's account may do to matching services what is allowed, and nothing else. None when
    nothing is."""
    actions = sorted(wanted.settings.allowed)
    if not actions:
        return None
    globs = [f"{one}{SUFFIX}" for one in patterns(wanted.settings.service_pattern)]
    matching = "|".join(re.escape(one).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for one in globs)
    return f"""\
// Written by `vigie agent install`: what the account of the agent may do to services, by name and verb.
polkit.addRule(function(action, subject) {{
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == {json.dumps(wanted.account)} &&
        {json.dumps(actions)}.indexOf(action.lookup("verb")) >= 0 &&
        new RegExp({json.dumps(f"^({matching})$")}).test(action.lookup("unit"))) {{
        return polkit.Result.YES;
    }}
}});
"""


def _quoted(value: str) -> str:
    return '"' + _plain("a value", value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'


def _plain(what: str, value: str) -> str:
    if not value.isprintable():
        raise BadSettingError(what, "has characters that cannot stand in a unit file")
    return value.replace("%", "%%")
