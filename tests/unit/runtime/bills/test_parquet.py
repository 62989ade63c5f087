"""The same bill as Parquet: equal to the CSV to the cent, and files that mean harm cost bounded memory and say why."""

import io
import json
import struct

import numpy as np
import pytest
from arro3.core import Array, DataType, Field, Table, list_array, struct_array
from arro3.io import write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from runtime.bills import inbox, parquet, parquet_rows, reading
from runtime.bills.bill import Bill
from runtime.bills.reading import LINE_BYTES, charges
from tests.unit.runtime.bills.test_bills import AZURE, CUR, FOCUS, borne, focus, told, written

TEXT, MONEY, UTC = DataType.string(), DataType.decimal128(38, 18), DataType.timestamp("us", tz="UTC")
NAMES = (Field("key", TEXT, nullable=False), Field("value", TEXT))


class Mapped:
    """A list of pairs, seen as the map it is laid out like; the library has no constructor for one."""

    def __init__(self, tags):
        pairs = [pair for one in tags for pair in one.items()]
        keys, values = (Array([pair[k] for pair in pairs], type=TEXT) for k in (0, 1))
        ends = np.cumsum([0, *map(len, tags)], dtype=np.int32)
        self._held = list_array(Array(ends), struct_array([keys, values], fields=list(NAMES)))

    def __arrow_c_array__(self, requested_schema=None):
        kind = DataType.map(*NAMES, keys_sorted=False)
        return kind.__arrow_c_schema__(), self._held.__arrow_c_array__()[1]


def column(values, kind=TEXT):
    """A column of texts, cast to its type as a writer would hold it."""
    if kind == "map":
        return Array.from_arrow(Mapped([json.loads(v) if v else {} for v in values]))
    return Array([v or None for v in values], type=TEXT).cast(kind)


def packed(*rows, kinds=None, **options):
    file = io.BytesIO()
    columns = {name: column([row[name] for row in rows], (kinds or {}).get(name, TEXT)) for name in rows[0]}
    write_parquet(Table.from_pydict(columns), file, **options)
    return file.getvalue()


FOCUS_KINDS = {
    "BilledCost": MONEY, "EffectiveCost": MONEY, "Tags": "map", "BillingPeriodStart": UTC, "BillingPeriodEnd": UTC,
    "ChargePeriodStart": DataType.timestamp("ms", tz="UTC"), "ChargePeriodEnd": DataType.timestamp("ms"),
    "ChargeCategory": DataType.dictionary(DataType.int32(), TEXT),
}  # fmt: skip
CUR_KINDS = {
    "line_item_unblended_cost": DataType.float64(), "resource_tags": "map",
    "line_item_usage_start_date": DataType.timestamp("ms"), "line_item_usage_end_date": DataType.timestamp("ms"),
}  # fmt: skip
AZURE_KINDS = {"CostInBillingCurrency": MONEY, "Date": DataType.date32()}
PLAIN_AZURE = AZURE | {"Date": "2026-03-02"}


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ((focus(), focus(BilledCost="0.005", ResourceId="vm-2"), focus(Tags="", ResourceId="")), FOCUS_KINDS),
        ((CUR, CUR | {"line_item_unblended_cost": "1234567.8901234"}), CUR_KINDS),
        ((PLAIN_AZURE, PLAIN_AZURE | {"ChargeType": "UnusedReservation"}), AZURE_KINDS),
    ],
)
def test_a_bill_as_parquet_and_as_csv_is_the_same_bill(rows, kinds):
    as_csv, as_parquet = (
        list(charges(io.BytesIO(content), "f")) for content in (written(*rows), packed(*rows, kinds=kinds))
    )

    assert as_parquet == as_csv
    assert len(as_csv) == len(rows)
    assert told(written(*rows), packed(*rows, kinds=kinds)).repeated == len(rows)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.decimals(-(10**9), 10**9, places=4), min_size=1, max_size=20),
    st.sampled_from([MONEY, DataType.float64(), DataType.decimal256(60, 30)]),
)
def test_no_cent_is_lost_whatever_type_amounts_have(amounts, kind):
    rows = [focus(BilledCost=f"{amount:f}", ResourceId=f"vm-{n}") for n, amount in enumerate(amounts)]
    report = told(packed(*rows, kinds={"BilledCost": kind}))

    assert report == told(written(*rows))


@pytest.mark.parametrize(
    ("cost", "kind", "match"),
    [
        ("10.01", DataType.float32(), "BilledCost is of the type Float32, too short for cents"),
        ("131072.01", DataType.float32(), "too short for cents"),
        ("10000000000000.01", DataType.float64(), "as a double does not say its cents"),
    ],
)
def test_a_type_that_loses_cents_is_refused(cost, kind, match):
    with pytest.raises(Invalid, match=match):
        told(packed(focus(BilledCost=cost), kinds={"BilledCost": kind}))


def test_amounts_that_are_none_are_quarantined_and_the_rest_counts():
    rows = [focus(), focus(BilledCost="NaN", ResourceId="b"), focus(BilledCost="", ResourceId="c")]
    report = told(packed(*rows, kinds={"BilledCost": DataType.float64()}))

    assert borne(report) == {"acme": 1000}
    assert [bad.line.number for bad in report.quarantine] == [3, 4]


def test_a_nested_column_is_refused_where_it_is_wanted_and_passed_over_where_not():
    names = {name: column([value]) for name, value in FOCUS.items()}
    nested = struct_array([Array(["a"], type=TEXT)], fields=[Field("id", TEXT)])
    for name, fails in (("ResourceId", True), ("x_Details", False)):
        file = io.BytesIO()
        write_parquet(Table.from_pydict(names | {name: nested}), file)
        if fails:
            with pytest.raises(Invalid, match="ResourceId is of the type Struct"):
                told(file.getvalue())
        else:
            assert told(file.getvalue()).charges == 1


def test_missing_and_repeated_columns_are_told():
    less = {name: value for name, value in FOCUS.items() if name != "BilledCost"}
    with pytest.raises(Invalid, match="lacks BilledCost"):
        told(packed(less))
    with pytest.raises(Invalid, match="twice the column billingaccountid"):
        told(packed(PLAIN_AZURE | {"billingaccountid": "again"}))


def test_what_is_cut_off_or_lost_its_structure_never_counts_in_part():
    whole = packed(*(focus(ResourceId=f"vm-{n}") for n in range(2_000)), kinds={"BilledCost": MONEY})
    for size in (4, 8, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        with pytest.raises(Invalid, match="not readable as Parquet"):
            told(whole[:size])
    tenth = len(whole) // 10
    for first in (5 * tenth, 6 * tenth, 8 * tenth):
        with pytest.raises(Invalid, match="not readable as Parquet"):
            told(whole[:first] + b"\xff" * tenth + whole[first + tenth :])


def test_a_footer_that_asks_for_everything_is_refused():
    whole = packed(FOCUS)
    for length in (0x7FFFFFFF, 0xFFFFFFFF, len(whole)):
        with pytest.raises(Invalid, match="not readable as Parquet"):
            told(whole[:-8] + struct.pack("<I", length) + b"PAR1")


def test_a_bomb_ends_its_reader_and_nothing_else():
    """Four rows of 400 MB each in a few kilobytes: more than the reader may hold, nothing to this process."""
    import resource

    text = Array(["x" * (100 << 20)], type=TEXT)
    names = {name: column([value]) for name, value in FOCUS.items() if name != "ResourceId"}
    repeated = {n: c.take(Array(np.zeros(64, dtype=np.int64))) for n, c in names.items()}
    file = io.BytesIO()
    held = text.cast(DataType.dictionary(DataType.int32(), TEXT)).take(Array(np.zeros(64, dtype=np.int64)))
    write_parquet(
        Table.from_pydict(repeated | {"ResourceId": held}), file, compression="zstd(3)", skip_arrow_metadata=True,
        max_statistics_size=1, dictionary_page_size_limit=1 << 30,
    )  # fmt: skip
    assert len(file.getvalue()) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Invalid, match="not readable as Parquet within bounded memory"):
        told(file.getvalue())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_row_that_is_too_long_is_quarantined():
    report = told(packed(focus(), focus(ResourceId="x" * LINE_BYTES)))

    assert [bad.line.number for bad in report.quarantine] == [3]
    assert "longer than" in report.quarantine[0].reason


def test_rows_without_end_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(reading, "FILE_LINES", 3)
    assert told(packed(*[FOCUS] * 2)).charges == 2
    with pytest.raises(Invalid, match="more than 3 lines"):
        told(packed(*[FOCUS] * 100_000))


def test_a_delivered_parquet_keeps_its_kind_and_lies_there_once(tmp_path):
    for name, content in (("a", packed(FOCUS)), ("b", written(FOCUS)), ("again", packed(FOCUS))):
        (tmp_path / name).write_bytes(content)
        inbox.deliver(tmp_path / name, tmp_path, "prod")
    held = inbox.waiting(tmp_path, "prod")

    assert [path.suffix for path in held] == [".parquet", ".csv"]
    assert inbox.records(held[0]) == inbox.records(held[1])


def test_a_reader_that_says_less_than_it_sent_is_not_believed(monkeypatch):
    """The planted break: rows whose number was not told at the end."""
    monkeypatch.setattr(parquet, "_READER", ("/bin/echo", '["BilledCost"]\n["1"]\n'))
    bill = Bill()
    with pytest.raises(Invalid):
        bill.take(io.BytesIO(b"PAR1"), "f")


def test_the_reader_bounds_itself():
    assert parquet_rows.MEMORY_BYTES <= 1 << 30
