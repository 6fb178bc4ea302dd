"""The receivers of a file: each of their configurations becomes a named channel, or is told to be lost.

What is secret of one stands in the channel's draft only, which is sealed when it is stored.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from vigie_contracts.alerts import Channel
from vigie_runtime import yaml_nodes as yaml

from vigie_alerting.channels.drafts import Draft
from vigie_alerting.notifiers.webhook import AUTHORIZATION
from vigie_alerting.outbox import NAMED
from vigie_alerting.routing.importing.document import Document
from vigie_alerting.routing.model import Receiver
from vigie_alerting.rules.checking import MAX_CHANNELS

_SUFFIX: Final = "_configs"
_MAX_NAME: Final = 64
_SENT_RESOLVED: Final = "whoever was told that an alert fires is told that it is over"
_OURS: Final = "messages are written by Vigie"


@dataclass(slots=True)
class Receivers:
    """Those of a file."""

    receivers: dict[str, Receiver] = field(default_factory=dict[str, Receiver])
    drafts: dict[str, tuple[int, Draft]] = field(default_factory=dict[str, tuple[int, Draft]])
    """Channels by name, each with its line."""
    names: Counter[str] = field(default_factory=Counter[str])
    """How many channels have a name that begins so."""


def read(document: Document, several: list[yaml.Mapping], global_: yaml.Mapping) -> Receivers:
    """All of them; `global_` is what they have in common."""
    found = Receivers()
    for one in several:
        name = document.text(one, "name")
        if not name:
            document.error(one.line, "a receiver needs a name")
        elif name in found.receivers:
            document.error(one.line, f"there are two receivers {name!r}")
        document.lines[f"receivers.{name}"] = one.line
        found.receivers[name] = _receiver(document, one, name, global_, found)
    return found


def _receiver(document: Document, of: yaml.Mapping, name: str, global_: yaml.Mapping, found: Receivers) -> Receiver:
    channels: list[Channel] = []
    said = 0
    for key in of:
        if not key.endswith(_SUFFIX):
            if key not in ("name", "labels"):
                document.error(of.lines[key], f"{key} is not a field of a receiver")
            continue
        for config in document.mappings(of, key):
            said += 1
            draft = _draft(document, key.removesuffix(_SUFFIX), config, global_)
            if draft is None:
                continue
            if len(channels) == MAX_CHANNELS:
                document.error(config.line, f"a receiver has at most {MAX_CHANNELS} channels")
                return Receiver(channels=channels)
            label = _name(name, key.removesuffix(_SUFFIX), found.names)
            found.drafts[label] = config.line, Draft(label, draft.type, draft.destination, draft.secrets)
            channels.append(Channel(NAMED, label))
    if said and not channels:
        document.lost(of.line, f"nothing of the receiver {name!r} can be taken: nobody is told by it")
    return Receiver(channels=channels)


def _draft(document: Document, kind: str, of: yaml.Mapping, global_: yaml.Mapping) -> Draft | None:
    reader = _KINDS.get(kind)
    if reader is None:
        document.lost(of.line, f"{kind}{_SUFFIX}: Vigie has no channel of this kind")
        return None
    if "send_resolved" in of and not document.flag(of, "send_resolved"):
        document.lost(of.lines["send_resolved"], f"send_resolved: {_SENT_RESOLVED}")
    made = reader(_Config(document, of, global_))
    if made is not None and "{{" in (made.destination or ""):
        document.lost(of.line, f"{kind}{_SUFFIX}: a template in an address or a key is not taken")
        return None
    return made


@dataclass(frozen=True, slots=True)
class _Config:
    """One configuration of a receiver."""

    document: Document
    of: yaml.Mapping
    global_: yaml.Mapping

    def said(self, name: str, shared: str = "") -> str:
        return self.document.text(self.of, name) or (self.document.text(self.global_, shared) if shared else "")

    def lost(self, why: str) -> None:
        self.document.lost(self.of.line, why)

    def left(self, *names: str, why: str = _OURS) -> None:
        """Fields that mean nothing here, where they are said."""
        self.document.left(self.of, names, why)

    def rest(self, *known: str) -> None:
        """Every other field."""
        self.left(*(name for name in self.of if name not in (*known, "send_resolved")))


def _webhook(config: _Config) -> Draft | None:
    url = config.said("url")
    if not url:
        config.lost("webhook_configs: its URL is in a file that is not here (url_file)")
        return None
    config.rest("url", "http_config")
    header = _authorization(config)
    # Without one the channel has none: that of before was for the address of before.
    return Draft("", "webhook", url, {AUTHORIZATION: header or None})


def _authorization(config: _Config) -> str:
    """The header that `http_config` asks for."""
    document = config.document
    http = document.mapping(config.of["http_config"], config.of.lines["http_config"], "http_config") \
        if "http_config" in config.of else yaml.Mapping(config.of.line)  # fmt: skip
    for name in http:
        if name not in ("authorization", "basic_auth", "bearer_token", "follow_redirects", "enable_http2"):
            document.lost(http.lines[name], f"http_config.{name} is not taken")
    if token := document.text(http, "bearer_token"):
        return f"Bearer {token}"
    if "authorization" in http:
        inner = document.mapping(http["authorization"], http.lines["authorization"], "authorization")
        credentials = document.text(inner, "credentials")
        if not credentials:
            document.lost(inner.line, "authorization: its credentials are in a file that is not here")
            return ""
        return f"{document.text(inner, 'type') or 'Bearer'} {credentials}"
    if "basic_auth" in http:
        inner = document.mapping(http["basic_auth"], http.lines["basic_auth"], "basic_auth")
        password = document.text(inner, "password")
        if not password:
            document.lost(inner.line, "basic_auth: its password is in a file that is not here")
            return ""
        return "Basic " + b64encode(f"{document.text(inner, 'username')}:{password}".encode()).decode()
    return ""


def _slack(config: _Config) -> Draft | None:
    config.rest("api_url", "channel", "app_token", "app_token_file", "app_url", "api_url_file")
    url, channel = config.said("api_url", "slack_api_url"), config.said("channel")
    if config.said("app_token", "slack_app_token") or "/api/chat.postMessage" in url:
        config.lost("slack_configs: channels of Slack go by incoming webhooks, not by the token of an app")
        return None
    if url:
        if channel:
            config.left("channel", why="a webhook posts to the channel that it was made for")
        return Draft("", "slack", url)
    if not channel:
        config.lost("slack_configs: its URL is in a file that is not here")
        return None
    config.lost("slack_configs: its URL is not here, so it goes by the webhook of the settings (SLACK_WEBHOOK_URL)")
    return Draft("", "slack", channel)


def _email(config: _Config) -> Draft | None:
    server = ("from", "hello", "smarthost", "tls_config", "require_tls", "force_implicit_tls")
    login = ("auth_username", "auth_password", "auth_password_file", "auth_secret", "auth_secret_file", "auth_identity")
    config.left(*server, *login, why="mail goes by the server of the settings (EMAIL_SMTP_HOST)")
    config.rest("to", *server, *login)
    to = [one.strip() for one in config.said("to").split(",")]
    bare = [found[1] if (found := re.fullmatch(r".*<([^<>]+)>", one)) else one for one in to]
    return Draft("", "email", ",".join(filter(None, bare)))


def _discord(config: _Config) -> Draft | None:
    config.rest("webhook_url", "webhook_url_file")
    found = re.search(r"/api/webhooks/([^/?#]+)/([^/?#]+)/?$", config.said("webhook_url"))
    if found is None:
        config.lost("discord_configs: it needs a webhook_url of Discord, in the file itself")
        return None
    return _apprise("discord", found[1], found[2])


def _pagerduty(config: _Config) -> Draft | None:
    config.rest("routing_key", "routing_key_file", "service_key", "service_key_file")
    key = config.said("routing_key")
    if not key:
        config.lost("pagerduty_configs: only a routing_key (Events API v2), in the file itself, is taken")
        return None
    return _apprise("pagerduty", f"{quote(key, safe='')}@{quote(key, safe='')}", quoted=True)


def _opsgenie(config: _Config) -> Draft | None:
    config.rest("api_key", "api_key_file")
    return _keyed(config, "opsgenie", config.said("api_key", "opsgenie_api_key"))


def _telegram(config: _Config) -> Draft | None:
    config.rest("bot_token", "chat_id", "bot_token_file")
    token, chat = config.said("bot_token", "telegram_bot_token"), config.said("chat_id")
    return _keyed(config, "tgram", token, chat) if chat else _keyed(config, "tgram", "")


def _pushover(config: _Config) -> Draft | None:
    config.rest("user_key", "token", "user_key_file", "token_file")
    user, token = config.said("user_key"), config.said("token")
    if not (user and token):
        return _keyed(config, "pover", "")
    return _apprise("pover", f"{quote(user, safe='')}@{quote(token, safe='')}", quoted=True)


def _victorops(config: _Config) -> Draft | None:
    config.rest("api_key", "routing_key", "api_key_file")
    key, routing = config.said("api_key", "victorops_api_key"), config.said("routing_key")
    if not (key and routing) or "{{" in routing:
        return _keyed(config, "victorops", "")
    return _apprise("victorops", f"{quote(routing, safe='')}@{quote(key, safe='')}", quoted=True)


def _webex(config: _Config) -> Draft | None:
    config.rest("room_id", "http_config")
    return _keyed(config, "wxteams", _authorization(config).removeprefix("Bearer "), config.said("room_id"))


def _keyed(config: _Config, scheme: str, key: str, *more: str) -> Draft | None:
    if not key:
        config.lost(f"{scheme}: its keys are not in the file itself")
        return None
    return _apprise(scheme, key, *more)


def _apprise(scheme: str, *parts: str, quoted: bool = False) -> Draft:
    path = "/".join(parts if quoted else (quote(part, safe=":") for part in parts))
    return Draft("", "apprise", f"{scheme}://{path}")


_KINDS: Final[Mapping[str, Callable[[_Config], Draft | None]]] = {
    "webhook": _webhook,
    "slack": _slack,
    "email": _email,
    "discord": _discord,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "telegram": _telegram,
    "pushover": _pushover,
    "victorops": _victorops,
    "webex": _webex,
}


def _name(receiver: str, kind: str, names: Counter[str]) -> str:
    """A name for the channel that no other has."""
    base = re.sub(r"[^A-Za-z0-9 _.-]+", "-", receiver).lstrip(" _.-")[: _MAX_NAME - len(kind) - 6] or "receiver"
    name = f"{base} {kind}"
    names[name] += 1
    return name if names[name] == 1 else f"{name} {names[name]}"
