"""Modules of blackbox_exporter as fields of targets, where they map; what does not is told.

Prometheus' files name a module and the addresses that it is used for; here each target names its module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

_PROBERS: Final = frozenset({"http", "tcp", "dns", "icmp", "grpc"})
_NO_CHANGE: Final = frozenset({"preferred_ip_protocol", "ip_protocol_fallback", "enable_http2", "enable_http3"})
"""How an address is chosen and which HTTP is spoken: Vigie tries all addresses, by HTTP/1.1."""


@dataclass(slots=True)
class Mapped:
    fields: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Of a target, by their names in JSON."""
    lost: list[str] = field(default_factory=list[str])
    """A sentence for each part of the module that has no place in a target."""
    scheme: str = "http"
    """Of addresses that have none."""
    path: str = ""
    """After an address that has none: the name that is asked for, of dns."""

    def url(self, address: str) -> str:
        """The URL of a target: blackbox_exporter takes addresses without a scheme."""
        if "://" in address:
            return address
        return f"{self.scheme}://{address}" + (self.path if "/" not in address else "")

    def set(self, name: str, value: Any) -> None:
        self.fields[name] = value

    def expect(self, name: str, value: Any) -> None:
        self.fields.setdefault("expect", {})[name] = value

    def option(self, name: str, value: Any) -> None:
        self.fields.setdefault("options", {})[name] = str(value)

    def header(self, name: str, value: Any) -> None:
        self.fields.setdefault("headers", {})[name] = str(value)

    def lose(self, name: str, why: str = "has no place in a target") -> None:
        self.lost.append(f"{name} {why}")


def mapped(module: Mapping[str, Any]) -> Mapped:
    """What the module says of a target. A field that is not understood is never taken for one that is."""
    made = Mapped()
    prober = module.get("prober")
    if prober not in _PROBERS:
        made.lose("prober", f"must be one of {', '.join(sorted(_PROBERS))}")
        return made
    made.set("kind", prober)
    if "timeout" in module:
        made.set("timeout", module["timeout"])
    for name in module:
        if name not in ("prober", "timeout", prober):
            made.lose(str(name))
    made.scheme = str(prober)
    inner = module.get(prober)
    fields = _FIELDS[prober]
    for name, value in (inner if isinstance(inner, dict) else {}).items():
        if name in _NO_CHANGE:
            continue
        place = fields.get(name)
        if place is None or not place(made, value):
            made.lose(f"{prober}.{name}")
    if made.fields.get("kind") == "dns" and not made.path:
        made.lose("dns.query_name", "is missing: say it in the URL, dns://server/name")
    return made


Place = Callable[[Mapped, Any], bool]
"""Puts a value where it belongs; False: it cannot."""


def _field(name: str) -> Place:
    def place(made: Mapped, value: Any) -> bool:
        made.set(name, value)
        return True

    return place


def _expected(name: str) -> Place:
    def place(made: Mapped, value: Any) -> bool:
        made.expect(name, value)
        return True

    return place


def _option(name: str) -> Place:
    def place(made: Mapped, value: Any) -> bool:
        made.option(name, value)
        return True

    return place


def _statuses(made: Mapped, value: Any) -> bool:
    made.expect("statuses", [str(one) for one in value] if isinstance(value, list) else value)
    return True


def _redirects(made: Mapped, value: Any) -> bool:
    if value is False:
        made.set("maxRedirects", 0)
    return True


def _no_redirects(made: Mapped, value: Any) -> bool:
    return _redirects(made, value is not True)


def _headers(made: Mapped, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for name, one in value.items():
        made.header(str(name), one)
    return True


def _basic_auth(made: Mapped, value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"username", "password"}:
        return False  # a password in a file of another machine
    made.fields |= value
    return True


def _authorization(made: Mapped, value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"type", "credentials"} or "credentials" not in value:
        return False
    made.header("Authorization", f"{value.get('type', 'Bearer')} {value['credentials']}")
    return True


def _bearer(made: Mapped, value: Any) -> bool:
    return _authorization(made, {"credentials": value})


def _tls_config(made: Mapped, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for name, one in value.items():
        if name == "insecure_skip_verify":
            made.set("verify", one is not True)
        elif name == "server_name" and made.fields.get("kind") != "tcp":
            made.option("serverName", one)
        else:
            made.lose(f"tls_config.{name}")
    return True


def _tls(made: Mapped, value: Any) -> bool:
    if value is True:
        kind = made.fields["kind"]
        made.scheme = "grpcs" if kind == "grpc" else "tls"
        if kind == "tcp":
            made.set("kind", "tls")
    return True


def _query_response(made: Mapped, value: Any) -> bool:
    """One text that is sent, and what is expected of the answer: a talk of several steps cannot be."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return False
    if any(one.keys() - {"send", "expect"} for one in value):
        return False
    sends = [one["send"] for one in value if "send" in one]
    expects = [one["expect"] for one in value if "expect" in one]
    if len(sends) > 1 or (len(expects) > 1 and sends) or (sends and "send" not in value[0]):
        return False
    if sends:
        made.option("send", f"{sends[0]}\\n")
    if expects:
        made.expect("bodyMatches", expects)
    return True


def _query_name(made: Mapped, value: Any) -> bool:
    made.path = f"/{quote(str(value), safe='')}"
    return True


def _rcodes(made: Mapped, value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 1:
        return False
    made.option("rcode", value[0])
    return True


def _records(made: Mapped, value: Any) -> bool:
    names = {
        "fail_if_matches_regexp": "bodyNotMatches",
        "fail_if_not_matches_regexp": "bodyMatches",
    }
    if not isinstance(value, dict) or value.keys() - names.keys():
        return False
    for name, one in value.items():
        made.expect(names[name], one)
    return True


_FIELDS: Final[Mapping[str, Mapping[str, Place]]] = {
    "http": {
        "method": _field("method"), "headers": _headers, "body": _field("body"), "valid_status_codes": _statuses,
        "follow_redirects": _redirects, "no_follow_redirects": _no_redirects,
        "fail_if_body_matches_regexp": _expected("bodyNotMatches"),
        "fail_if_body_not_matches_regexp": _expected("bodyMatches"),
        "basic_auth": _basic_auth, "authorization": _authorization, "bearer_token": _bearer, "tls_config": _tls_config,
    },
    "tcp": {"tls": _tls, "tls_config": _tls_config, "query_response": _query_response},
    "dns": {
        "query_name": _query_name, "query_type": _option("recordType"), "transport_protocol": _option("transport"),
        "valid_rcodes": _rcodes, "validate_answer_rrs": _records,
    },
    "icmp": {},
    "grpc": {"service": _option("service"), "tls": _tls, "tls_config": _tls_config, "metadata": _headers},
}  # fmt: skip
