"""Who sees which silences, and may make them: USER and READONLY have sites and apps of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vigie_identity.permissions import Permission
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import Matcher, Operator

from vigie_alerting.api.alerts import queries
from vigie_alerting.api.context import Context
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.errors import NotYoursToMute, SilenceNotFound
from vigie_alerting.silences.index import pairs_of
from vigie_alerting.silences.model import Silence

_PLACES = ("site", "app")


def check_mutes(context: Context, matchers: Sequence[Matcher]) -> None:
    """Raises NotYoursToMute unless these narrow down to alerts of the caller's own sites and apps, or any may be."""
    if _mutes_all(context):
        return
    mine = set(queries.assigned(context))
    for matcher in matchers:
        pairs = pairs_of(matcher)
        if pairs and all(f"{name}={value}" in mine for name, value in pairs):
            return
    raise NotYoursToMute


def check_sees(context: Context, silence: Silence) -> None:
    """Raises SilenceNotFound."""
    if not sees(context, silence):
        raise SilenceNotFound


def sees(context: Context, silence: Silence) -> bool:
    """Those about a site or app of the caller's, and those that name neither; whoever may silence any alert sees
    all."""
    if _mutes_all(context):
        return True
    mine = queries.places(context)
    named = [pair for matcher in silence.matchers for pair in pairs_of(matcher) if pair[0] in _PLACES]
    return mine is None or not named or any(f"{name}={value}" in mine for name, value in named)


def sees_alert(context: Context, labels: Mapping[str, str]) -> bool:
    """Whether the caller is told of an alert with these labels that a silence fits, or would."""
    return _mutes_all(context) or queries.sees(context, labels)


def _mutes_all(context: Context) -> bool:
    return context.principal.may(Permission.ALERTS_SILENCE_ALL, context.tenant)


def having(texts: Sequence[str]) -> Sequence[Matcher]:
    """Matchers on the matchers of silences: `alertname="cpu_high"` are those that have this one. Raises
    InvalidParameter for expressions."""
    found = parse(texts, "matcher").all
    if any(one.is_regex for one in found):
        raise InvalidParameter("matcher", "silences are found by name=value and name!=value, not by expressions")
    return found


def has(silence: Silence, wanted: Sequence[Matcher]) -> bool:
    """Whether the values of its matchers, whatever their operators, fit all of these."""
    values = {one.label: one.value for one in silence.matchers}
    return all((values.get(one.label, "") == one.value) is (one.operator is Operator.EQUAL) for one in wanted)
