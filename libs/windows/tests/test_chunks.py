"""Chunk documents: what is encoded is decoded, and nothing hostile gets through."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_windows import Cells, CorruptChunkError, IncompatibleError, chunks, fold, merge, widen
from vigie_windows.chunks import Column

ROWS = 600
KINDS = np.arange(ROWS, dtype=np.uint8) % 4
T0 = 1_700_000_400_000 // 3_600_000 * 3_600_000


def cells_of(samples, width=10_000) -> Cells:
    columns = list(zip(*samples, strict=True)) if samples else ([], [], [])
    rows, ts, values = np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2], float)
    return fold(rows, ts, values, KINDS, width)


def identical(a: Cells, b: Cells) -> None:
    assert a.width_ms == b.width_ms
    for field in fields(Cells):
        one, other = getattr(a, field.name), getattr(b, field.name)
        np.testing.assert_array_equal(one, other, err_msg=field.name)
        if field.name != "width_ms":
            assert one.dtype == other.dtype, field.name


samples_of = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 3, 4, 250, 255, 256, 259, 512, 514, 599]),
        st.integers(0, 40_000).map(lambda ms: T0 + ms),
        st.integers(-9, 9).map(float) | st.floats(-1e9, 1e9),
    ),
    max_size=80,
)


@given(samples_of, st.sampled_from([1_000, 10_000, 60_000, 3_600_000]), st.randoms())
@settings(max_examples=200, deadline=None)
def test_decoding_gives_back_what_was_encoded(samples, width, random):
    cells = cells_of(samples, width)
    documents = list(chunks.encode_all(cells))
    for chunk, start, document in documents:
        part = chunks.decode(document, chunk, start, width)
        identical(part, cells.select((cells.chunks == chunk) & (cells.starts == start)))
        assert chunks.encode(part) == document
    random.shuffle(documents)
    identical(chunks.decode_many(documents, width), cells)


@given(samples_of, st.sets(st.sampled_from([0, 2, 3, 255, 259, 514, 77])))
@settings(max_examples=100, deadline=None)
def test_asking_for_rows_gives_only_them(samples, rows):
    cells = cells_of(samples)
    found = chunks.decode_many(chunks.encode_all(cells), 10_000, rows=rows)
    identical(found, cells.select(np.isin(cells.rows, list(rows))))


@pytest.mark.parametrize("wanted", [range(10), range(0, 300, 3), range(256), range(5, 600)])
def test_asking_for_few_or_many_rows_of_chunks_gives_only_them(wanted):
    cells = cells_of([(row, T0 + at, row + at / 7) for row in range(ROWS) for at in (0, 3_000, 12_000) if row % 5])
    found = chunks.decode_many(chunks.encode_all(cells), 10_000, rows=wanted)
    identical(found, cells.select(np.isin(cells.rows, list(wanted))))


@given(samples_of, st.sets(st.sampled_from(list(Column))))
@settings(max_examples=100, deadline=None)
def test_projected_documents_give_the_columns_asked_for(samples, columns):
    cells = cells_of(samples)
    kept = chunks.stored_fields(columns)
    documents = [(c, s, {k: v for k, v in d.items() if k in kept}) for c, s, d in chunks.encode_all(cells)]
    found = chunks.decode_many(documents, 10_000, columns=columns)
    for name in ("key", "kind", "count", "last", "last_ts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(cells, name))
    for name in ("sum", "min", "max", "first"):
        want = getattr(cells, name) if name in columns else np.full(len(cells), np.nan)
        np.testing.assert_array_equal(getattr(found, name), want)
    assert len(found.sketch_cell) == (len(cells.sketch_cell) if Column.SKETCH in columns else 0)
    assert len(found.turn_cell) == (len(cells.turn_cell) if Column.TURNS in columns else 0)


def test_one_sample_per_cell_takes_the_short_form():
    cells = cells_of([(row, T0 + row, float(row)) for row in range(256)])
    document = chunks.encode(cells)
    assert set(document) == {"v", "n", "kinds", "count", "last", "last_at"}
    identical(chunks.decode(document, 0, T0, 10_000), cells)


def test_large_counts_and_sketches_survive():
    samples = [(0, T0 + i % 10_000, float(i % 5000 - 2500)) for i in range(70_000)]
    cells = merge(*[cells_of(samples)] * 3)
    identical(chunks.decode(chunks.encode(cells), 0, T0, 10_000), cells)
    hour = widen(cells, 3_600_000)
    identical(chunks.decode(chunks.encode(hour), 0, T0, 3_600_000), hour)


def test_unknown_fields_are_ignored_and_nothing_gives_nothing():
    cells = cells_of([(0, T0, 1.0)])
    identical(chunks.decode({**chunks.encode(cells), "expires": object()}, 0, T0, 10_000), cells)
    assert len(chunks.decode_many([], 10_000)) == 0
    assert list(chunks.encode_all(Cells.empty(10_000))) == []


def test_encode_takes_exactly_one_chunk_window():
    with pytest.raises(IncompatibleError):
        chunks.encode(Cells.empty(10_000))
    with pytest.raises(IncompatibleError):
        chunks.encode(cells_of([(0, T0, 1.0), (256, T0, 1.0)]))


FULL = [(r, T0 + i * 100, float((i * 3) % 7)) for i in range(20) for r in (0, 1, 2, 3)]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"n": 0},
        {"n": 257},
        {"n": 5},
        {"n": "4"},
        {"slots": b"\0\1\2"},
        {"slots": b"\0\2\1\3"},
        {"slots": b"\0\1\1\3"},
        {"slots": None},
        {"slots": "0123"},
        {"kinds": 4},
        {"kinds": 256},
        {"kinds": b"\0\1\2\7"},
        {"count": 0},
        {"count": -1},
        {"count": None},
        {"count": 1 << 63},
        {"count": 1 << 64},
        {"count": b"\0\1\1\1"},
        {"last": b""},
        {"last": np.full(4, np.nan).tobytes()},
        {"min": np.full(4, np.inf).tobytes()},
        {"sum": None},
        {"last_at": np.full(4, 10_000, "<u2").tobytes()},
        {"first_at": np.full(4, 1 << 63, "<u8").tobytes()},
        {"first_at": b"123"},
        {"sketch_len": b"\xff\xff\xff\xff"},
        {"sketch_len": np.full(4, (1 << 63) - 1, "<u8").tobytes()},
        {"sketch_len": b"\0\7\0\7"},
        {"sketch_bucket": b""},
        {"sketch_bucket": np.full(14, 32_000, "<i2").tobytes()},
        {"sketch_bucket": np.full(14, 5, "<i2").tobytes()},
        {"sketch_count": bytes(14)},
        {"turn_len": b"\1\0\0\0"},
        {"turn_at": None},
        {"turn_value": b"\0" * 8},
    ],
)
@pytest.mark.parametrize("rows", [None, [0, 1, 2, 3]])
def test_broken_documents_are_refused_by_name(change, rows):
    document = {k: v for k, v in {**chunks.encode(cells_of(FULL)), **change}.items() if v is not None}
    with pytest.raises(CorruptChunkError, match=f"chunk 0, window {T0}: "):
        chunks.decode_many([(0, T0, document)], 10_000, rows=rows)


def test_broken_turning_points_are_refused():
    document = chunks.encode(cells_of(FULL))
    k = len(document["turn_value"]) // 8
    for change in (
        {"turn_at": np.full(k, 3, "<u2").tobytes()},
        {"turn_value": np.full(k, np.nan).tobytes()},
        {"turn_len": bytes([k, 0, 0, 0])},
    ):
        with pytest.raises(CorruptChunkError):
            chunks.decode({**document, **change}, 0, T0, 10_000)


def test_columns_may_be_wider_than_they_need_to_be():
    cells = cells_of(FULL)
    document = chunks.encode(cells)
    wide = {name: np.frombuffer(document[name], "u1").astype("<u8").tobytes() for name in ("sketch_len", "turn_len")}
    identical(chunks.decode({**document, **wide}, 0, T0, 10_000), cells)
    for rows in ([0], [2], [0, 3], [9]):
        found = chunks.decode_many([(0, T0, {**document, **wide})], 10_000, rows=rows)
        identical(found, cells.select(np.isin(cells.rows, rows)))


def test_misplaced_and_doubled_documents_are_refused():
    document = chunks.encode(cells_of([(0, T0, 1.0)]))
    for chunk, start in ((-1, T0), (1 << 23, T0), (0, T0 + 1), (0, -10_000)):
        with pytest.raises(CorruptChunkError):
            chunks.decode(document, chunk, start, 10_000)
    with pytest.raises(CorruptChunkError, match="two documents"):
        chunks.decode_many([(0, T0, document), (0, T0, document)], 10_000)


@given(st.dictionaries(st.sampled_from(chunks.stored_fields()), st.integers() | st.binary(max_size=40) | st.text()))
@settings(max_examples=200, deadline=None)
def test_random_documents_are_decoded_or_refused(document):
    try:
        cells = chunks.decode({"v": 1, **document}, 0, T0, 10_000)
    except CorruptChunkError:
        return
    assert len(cells) == document["n"]
