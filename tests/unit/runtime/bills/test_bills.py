"""Bills from exports: mappings, restated and repeated charges, and files that mean harm."""

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from runtime.bills import reading
from runtime.bills.bill import Bill
from runtime.bills.exports import recognised
from runtime.bills.reading import LINE_BYTES

FOCUS = {
    "BillingAccountId": "acct",
    "BillingPeriodStart": "2026-03-01T00:00:00Z",
    "BillingPeriodEnd": "2026-04-01T00:00:00Z",
    "ChargePeriodStart": "2026-03-02T00:00:00Z",
    "ChargePeriodEnd": "2026-03-03T00:00:00Z",
    "ChargeCategory": "Usage",
    "BillingCurrency": "USD",
    "BilledCost": "10.00",
    "EffectiveCost": "8.00",
    "CommitmentDiscountStatus": "",
    "ResourceId": "vm-1",
    "Tags": '{"tenant": "acme"}',
    "x_ChargeId": "",
}
CUR = {
    "bill_payer_account_id": "1234",
    "bill_billing_period_start_date": "2026-03-01T00:00:00.000Z",
    "bill_billing_period_end_date": "2026-04-01T00:00:00.000Z",
    "line_item_usage_start_date": "2026-03-02T00:00:00.000Z",
    "line_item_usage_end_date": "2026-03-02T01:00:00.000Z",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": "1.5E-7",
    "line_item_line_item_type": "Usage",
    "line_item_usage_type": "BoxUsage",
    "identity_line_item_id": "changes-from-report-to-report",
    "resource_tags": '{"user_tenant": "user_x"}',
}
AZURE = {
    "BillingAccountId": "567",
    "BillingPeriodStartDate": "03/01/2026",
    "BillingPeriodEndDate": "03/31/2026",
    "Date": "03/02/2026",
    "CostInBillingCurrency": "4.25",
    "BillingCurrencyCode": "EUR",
    "ChargeType": "Usage",
    "MeterId": "m",
    "Tags": '"tenant": "acme","env": "prod"',
}


def written(*rows, terminator="\n"):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator=terminator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def told(*files, tag="tenant", basis="billed"):
    bill = Bill()
    for number, content in enumerate(files, start=1):
        bill.take(io.BytesIO(content), f"file{number}")
    return bill.report(tag, basis)


def borne(report):
    return {one.owner: one.total_cents for cost in report.currencies for one in cost.owners}


def focus(**changed):
    return FOCUS | changed


def test_kinds_of_cost_stand_apart_and_add_up():
    report = told(
        written(
            focus(),
            focus(Tags='{"tenant": "globex"}', BilledCost="30"),
            focus(Tags='{"tenant": "shared"}', BilledCost="4"),
            focus(Tags="", BilledCost="1.004"),
            focus(CommitmentDiscountStatus="Unused", BilledCost="0.01"),
        )
    )
    (cost,) = report.currencies

    assert borne(report) == {"acme": 1100, "globex": 3301}
    assert (cost.untagged_cents, cost.shared_cents, cost.idle_cents, cost.total_cents) == (100, 400, 1, 4501)


@given(st.lists(st.tuples(st.sampled_from(["acme", "globex", "shared", ""]), st.decimals(-100, 100, places=7))))
def test_any_bill_adds_up_to_the_cent(lines):
    rows = [focus(Tags=json.dumps({"tenant": owner}), BilledCost=f"{cost:f}") for owner, cost in lines]
    report = told(written(*rows) if rows else written(focus(BilledCost="0")))
    (cost,) = report.currencies

    assert cost.total_cents == round(100 * sum((cost for _, cost in lines), Decimal(0)))
    parts = (cost.untagged_cents, cost.unsplit_shared_cents, cost.unsplit_idle_cents)
    assert sum(borne(report).values()) + sum(parts) == cost.total_cents


def test_currencies_are_never_added():
    report = told(written(focus(), focus(BillingCurrency="EUR", BilledCost="7")))

    assert [(cost.currency, cost.total_cents) for cost in report.currencies] == [("EUR", 700), ("USD", 1000)]


@pytest.mark.parametrize("charge_id", ["", "c-1"])
def test_a_late_bill_restates_a_charge_and_both_costs_are_kept(charge_id):
    first = written(focus(x_ChargeId=charge_id), focus(x_ChargeId=charge_id and "c-2", ResourceId="vm-2"))
    report = told(first, written(focus(x_ChargeId=charge_id, BilledCost="12.50")))
    (again,) = report.restatements

    assert borne(report) == {"acme": 2250}
    assert (again.billed_before, again.billed, report.restated) == (Decimal("10.00"), Decimal("12.50"), 1)
    assert (again.before.file, again.before.number, again.line.file) == ("file1", 2, "file2")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"x_ChargeId": "c-1", "ResourceId": ""}, {"globex": 1000}),
        ({"ResourceId": "vm-1"}, {"globex": 1000}),
        ({"ResourceId": ""}, {"acme": 1000, "globex": 1000}),
    ],
)
def test_a_charge_that_is_named_may_be_tagged_otherwise_later(named, expected):
    first, later = focus(**named), focus(**named, Tags='{"tenant": "globex"}')

    assert borne(told(written(first), written(later))) == expected


def test_a_correction_is_a_charge_of_its_own():
    first = written(FOCUS)
    corrected = {**focus(BilledCost="-3"), "ChargeClass": "Correction"}
    assert borne(told(first, written(corrected))) == {"acme": 700}


def test_a_file_given_twice_counts_once_and_equal_lines_of_one_file_are_two_charges():
    content = written(focus(), focus())
    report = told(content, content)

    assert (borne(report), report.charges, report.repeated, report.restated) == ({"acme": 2000}, 2, 2, 0)


def test_an_id_that_stands_twice_with_another_cost_is_quarantined():
    report = told(written(focus(x_ChargeId="c"), focus(x_ChargeId="c"), focus(x_ChargeId="c", BilledCost="99")))

    assert (borne(report), report.repeated) == ({"acme": 1000}, 1)
    assert [bad.line.number for bad in report.quarantine] == [4]


def test_cur_lines_lose_nothing_below_a_cent_and_keep_the_values_of_tags():
    rows = [
        CUR | {"line_item_resource_id": f"i-{number}", "line_item_unblended_cost": "1.5E-6"} for number in range(10_000)
    ]
    report = told(written(*rows))

    assert borne(report) == {"user_x": 2}  # 10 000 x 0.0000015 = 0.015, half to even
    assert told(written(CUR), written(CUR | {"identity_line_item_id": "other"})).repeated == 1


def test_azure_days_braceless_tags_and_unused_reservations():
    report = told(written(AZURE, AZURE | {"ChargeType": "UnusedReservation", "Date": "2026-03-02"}), basis="effective")
    (cost,) = report.currencies

    assert (cost.currency, cost.idle_cents, borne(report)) == ("EUR", 425, {"acme": 850})
    assert borne(told(written(AZURE), tag="env")) == {"prod": 425}


def test_effective_cost_is_refused_where_the_export_does_not_state_it():
    assert borne(told(written(FOCUS), basis="effective")) == {"acme": 800}
    with pytest.raises(Invalid, match="file1, line 2 states no effective cost"):
        told(written(CUR), basis="effective")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"BilledCost": "=1+1"}, "BilledCost: is not an amount"),
        ({"BilledCost": "NaN"}, "BilledCost"),
        ({"BilledCost": "1e99"}, "BilledCost"),
        ({"BilledCost": "1,50"}, "BilledCost"),
        ({"BilledCost": ""}, "BilledCost"),
        ({"BillingCurrency": "dollars"}, "BillingCurrency"),
        ({"ChargePeriodStart": "2026-03-02"}, "ChargePeriodStart: is not an instant"),
        ({"ChargePeriodEnd": "2026-03-01T00:00:00Z"}, "a period ends before it starts"),
        ({"ChargeCategory": "Gift"}, "ChargeCategory"),
        ({"Tags": "[" * 30_000}, "Tags: is not a JSON object"),
        ({"Tags": '{"tenant": {"deep": 1}}'}, "Tags"),
        ({"ResourceId": "x" * LINE_BYTES}, "longer than"),
    ],
)
def test_a_bad_line_is_quarantined_with_its_number_and_the_rest_counts(changed, reason):
    report = told(written(focus(), focus(**changed), focus(BilledCost="5")))

    assert [bad.line.number for bad in report.quarantine] == [3]
    assert reason in report.quarantine[0].reason
    assert borne(report) == {"acme": 1500}


@pytest.mark.parametrize("line", [b'"open,quote', b"\xff\xfe,1", b"too,few", written(FOCUS).splitlines()[1] + b'"open'])
def test_a_broken_line_damages_no_other(line):
    head, first = written(FOCUS).splitlines()
    report = told(b"\r\n".join([b"\xef\xbb\xbf" + head, line, b"", first]))

    assert [bad.line.number for bad in report.quarantine] == [2]
    assert borne(report) == {"acme": 1000}


@pytest.mark.parametrize("owner", ["=cmd|' /C calc'!A0", "@SUM(A1)", "\x1b[31mred", "untagged", "../../etc"])
def test_hostile_text_is_a_name_like_any_other(owner):
    report = told(written(focus(Tags=json.dumps({"tenant": owner}))))

    assert borne(report) == {owner: 1000}
    assert report.currencies[0].untagged_cents == 0


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "line 1: no export we read"),
        (b"a,b\n", "line 1: no export we read"),
        (b"\x00\xff\n", "line 1: not UTF-8"),
        (written({name: value for name, value in FOCUS.items() if name != "BilledCost"}), "lacks BilledCost"),
        (written(FOCUS).replace(b"Tags", b"ResourceId"), "twice the column ResourceId"),
    ],
)
def test_a_file_that_is_no_export_is_refused(content, match):
    with pytest.raises(Invalid, match=match):
        told(content)


def test_a_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "FILE_LINES", 3)
    assert told(written(FOCUS) + b"\n").charges == 1
    with pytest.raises(Invalid, match="more than 3 lines"):
        told(written(FOCUS) + b"\n" * 2)


def test_the_header_says_which_export_it_is():
    assert [recognised(list(row)).name for row in (FOCUS, CUR, AZURE)] == [
        "FOCUS 1.x",
        "AWS CUR 2.0",
        "Azure cost details",
    ]
