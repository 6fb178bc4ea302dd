"""Identity of series: what counts as the same, what is refused, and with which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import limits
from vigie_contracts.series import InvalidSeriesError, Kind, SeriesKey, kind_of, series_key, to_signed, to_unsigned

names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:.\-/]{0,40}", fullmatch=True)
label_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.\-/]{0,20}", fullmatch=True)
label_values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
labels = st.dictionaries(label_names, label_values, max_size=8)


def key(
    name: str = "m", kind: Kind = Kind.GAUGE, labels: dict[str, object] | None = None, tenant: str = "t"
) -> SeriesKey:
    return series_key(tenant, name, kind, labels or {})


@given(names, labels)
def test_order_of_labels_does_not_change_the_identity(name: str, labels: dict[str, str]) -> None:
    backwards = dict(reversed(list(labels.items())))
    assert key(name, labels=dict(labels)) == key(name, labels=backwards)
    assert key(name, labels=dict(labels)).fingerprint == key(name, labels=backwards).fingerprint


def test_parts_cannot_be_shifted_into_each_other() -> None:
    different = {
        key("ab", labels={"c": "d"}).fingerprint,
        key("a", labels={"bc": "d"}).fingerprint,
        key("a", labels={"b": "cd"}).fingerprint,
        key("a", labels={"b": "c", "d": "e"}).fingerprint,
        key("a", labels={"b": "cde"}).fingerprint,
        key("a", tenant="tb").fingerprint,
        key("ba").fingerprint,
    }
    assert len(different) == 7


def test_kind_and_tenant_are_part_of_the_identity() -> None:
    assert len({key(kind=kind).fingerprint for kind in Kind} | {key(tenant="other").fingerprint}) == 5


def test_fingerprint_is_pinned_for_ever() -> None:
    """Stored series are found by it: a change of the hash would orphan all history."""
    pinned = series_key("default", "custom_counter", Kind.COUNTER, {"service": "booking", "endpoint": "/api/bookings"})
    assert pinned.fingerprint == 0x8AE0BED95808F847


@given(st.integers(0, 2**64 - 1))
def test_signed_form_round_trips(fingerprint: int) -> None:
    signed = to_signed(fingerprint)
    assert -(2**63) <= signed < 2**63
    assert to_unsigned(signed) == fingerprint


def test_empty_values_are_absent_and_numbers_become_text() -> None:
    assert key(labels={"a": "", "b": 3, "c": True, "d": 1.5}).labels == (("b", "3"), ("c", "true"), ("d", "1.5"))


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("name", lambda: key("")),
        ("name", lambda: key("9lives")),
        ("name", lambda: key("a b")),
        ("name", lambda: key("a\n")),
        ("name", lambda: key("x" * (limits.MAX_NAME_CHARS + 1))),
        ("labels", lambda: key(labels={f"l{i}": "v" for i in range(limits.MAX_LABELS + 1)})),
        ("labels", lambda: key(labels={f"l{i}": "v" * 1_000 for i in range(10)})),
        ("labels.9", lambda: key(labels={"9": "v"})),
        ("labels.__name__", lambda: key(labels={"__name__": "v"})),
        ("labels.a", lambda: key(labels={"a": "v" * (limits.MAX_LABEL_VALUE_CHARS + 1)})),
        ("labels.a", lambda: key(labels={"a": ["v"]})),
        ("labels.a", lambda: key(labels={"a": None})),
        ("labels.a", lambda: key(labels={"a": "\ud800"})),
        ("labels.a", lambda: key(labels={"a": "nul\x00"})),
        ("tenant", lambda: key(tenant="")),
        ("tenant", lambda: key(tenant="a:b")),
    ],
)
def test_what_breaks_a_rule_is_named(field: str, build) -> None:
    with pytest.raises(InvalidSeriesError) as e:
        build()
    assert e.value.field == field


@pytest.mark.parametrize(
    ("type_", "temporality", "kind"),
    [
        ("gauge", None, Kind.GAUGE),
        ("counter", None, Kind.COUNTER),
        ("counter", "delta", Kind.COUNTER),
        ("counter", "cumulative", Kind.CUMULATIVE),
        ("histogram", None, Kind.HISTOGRAM),
        ("summary", None, Kind.HISTOGRAM),
    ],
)
def test_types_have_kinds(type_: str, temporality: str | None, kind: Kind) -> None:
    assert kind_of(type_, temporality) is kind


@pytest.mark.parametrize(
    ("type_", "temporality", "field"),
    [("guage", None, "type"), ("gauge", "delta", "temporality"), ("counter", "sometimes", "temporality")],
)
def test_unknown_types_are_refused(type_: str, temporality: str | None, field: str) -> None:
    with pytest.raises(InvalidSeriesError) as e:
        kind_of(type_, temporality)
    assert e.value.field == field


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (2**53, "9007199254740992"),
        (1.5, "1.5"),
        (True, "true"),
        ("1.0", "1.0"),
    ],
)
def test_a_number_as_a_label_has_one_spelling(value: object, text: str) -> None:
    assert key(labels={"shard": value}).labels == (("shard", text),)
