"""The exports we read, each as a mapping of one row to FOCUS columns: FOCUS itself, AWS CUR 2.0, Azure cost details.

A mapping renames and translates; it checks nothing that `CostRecord` checks. Which export a file is, its header says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.errors import Invalid
from runtime.bills.records import COLUMNS, REQUIRED, read_tags

Row = Mapping[str, str]


class Column(NamedTuple):
    """A column of an export, under its own name and the one of FOCUS."""

    theirs: str
    focus: str


@dataclass(frozen=True, slots=True)
class Export:
    """One sender's file: the columns it must have and those it is read for, how names are compared, and its mapping."""

    name: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    folded: bool
    focus: Callable[[Row], Mapping[str, object]]


def _focus(row: Row) -> dict[str, str]:
    return {column: row[column] for column in COLUMNS if row.get(column)}


AWS_COLUMNS: Final = (
    Column("bill_payer_account_id", "BillingAccountId"),
    Column("bill_billing_period_start_date", "BillingPeriodStart"),
    Column("bill_billing_period_end_date", "BillingPeriodEnd"),
    Column("line_item_usage_start_date", "ChargePeriodStart"),
    Column("line_item_usage_end_date", "ChargePeriodEnd"),
    Column("line_item_currency_code", "BillingCurrency"),
    Column("line_item_unblended_cost", "BilledCost"),
    Column("line_item_usage_account_id", "SubAccountId"),
    Column("line_item_resource_id", "ResourceId"),
    Column("line_item_product_code", "ServiceName"),
    Column("product_region_code", "RegionId"),
)
AWS_CATEGORY: Final = {
    "Usage": "Usage",
    "DiscountedUsage": "Usage",
    "SavingsPlanCoveredUsage": "Usage",
    "Fee": "Purchase",
    "RIFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Adjustment",
    "SavingsPlanNegation": "Adjustment",
    "Discount": "Adjustment",
    "BundledDiscount": "Adjustment",
    "EdpDiscount": "Adjustment",
    "PrivateRateDiscount": "Adjustment",
}
"""Line item types that CUR documents; another one is refused by name rather than guessed."""


def _aws(row: Row) -> dict[str, object]:
    """Map a CUR 2.0 row. Its line item id changes from report to report, so it never serves as charge id."""
    mapped: dict[str, object] = {focus: row[theirs] for theirs, focus in AWS_COLUMNS if row.get(theirs)}
    kind = row["line_item_line_item_type"]
    mapped["ChargeCategory"] = _known(AWS_CATEGORY, kind, "line_item_line_item_type")
    sku = (kind, row.get("line_item_usage_type", ""), row.get("line_item_operation", ""))
    mapped["SkuId"] = "/".join(sku)
    if tags := row.get("resource_tags"):
        mapped["Tags"] = _aws_tags(tags)
    return mapped


def _aws_tags(text: str) -> tuple[tuple[str, str], ...]:
    """Read tags under the names people gave them; CUR 2.0 writes `user_` before those."""
    try:
        return tuple((name.removeprefix("user_"), value) for name, value in read_tags(text))
    except ValueError as error:
        raise Invalid(f"resource_tags: {error}", reason="not_tags") from error


AZURE_COLUMNS: Final = (
    Column("billingaccountid", "BillingAccountId"),
    Column("costinbillingcurrency", "BilledCost"),
    Column("billingcurrency", "BillingCurrency"),
    Column("billingcurrencycode", "BillingCurrency"),
    Column("subscriptionid", "SubAccountId"),
    Column("resourceid", "ResourceId"),
    Column("resourcelocation", "RegionId"),
    Column("metercategory", "ServiceName"),
    Column("tags", "Tags"),
)
AZURE_CATEGORY: Final = {
    "Usage": "Usage",
    "UnusedReservation": "Usage",
    "UnusedSavingsPlan": "Usage",
    "Purchase": "Purchase",
    "Tax": "Tax",
    "Refund": "Adjustment",
    "RoundingAdjustment": "Adjustment",
}


def _azure(row: Row) -> dict[str, str]:
    """Map a cost details row. An actual file states billed cost, an amortised one effective cost, in one column."""
    mapped = {focus: row[theirs] for theirs, focus in AZURE_COLUMNS if row.get(theirs)}
    kind, day = row["chargetype"], _day(row["date"])
    mapped["ChargeCategory"] = _known(AZURE_CATEGORY, kind, "ChargeType")
    mapped["EffectiveCost"] = row["costinbillingcurrency"]
    mapped["BillingPeriodStart"] = _text(_day(row["billingperiodstartdate"]))
    mapped["BillingPeriodEnd"] = _text(_day(row["billingperiodenddate"]) + timedelta(days=1))  # theirs is the last day
    mapped["ChargePeriodStart"], mapped["ChargePeriodEnd"] = _text(day), _text(day + timedelta(days=1))
    mapped["SkuId"] = "/".join((kind, row.get("meterid", "")))
    if kind.startswith("Unused"):
        mapped["CommitmentDiscountStatus"] = "Unused"
    return mapped


def _known(table: Mapping[str, str], kind: str, column: str) -> str:
    if kind not in table:
        raise Invalid(f"{column}: {kind[:64]!r} is not a kind of charge we know", reason="charge_kind_unknown")
    return table[kind]


def _day(text: str) -> datetime:
    """Read a day as Azure writes it: 03/31/2026 or 2026-03-31, with or without a time."""
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text[:10], form)  # noqa: DTZ007 - a day of the bill, which is kept in UTC
        except ValueError:
            continue
    raise Invalid(f"{text[:64]!r} is not a day such as 2026-03-31", reason="not_a_day")


def _text(day: datetime) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"


EXPORTS: Final = (
    Export("FOCUS 1.x", REQUIRED, COLUMNS, folded=False, focus=_focus),
    Export(
        "AWS CUR 2.0",
        (*(column.theirs for column in AWS_COLUMNS[:7]), "line_item_line_item_type"),
        (
            *(column.theirs for column in AWS_COLUMNS),
            "line_item_line_item_type",
            "line_item_usage_type",
            "line_item_operation",
            "resource_tags",
        ),
        folded=False,
        focus=_aws,
    ),
    Export(
        "Azure cost details",
        (
            "billingaccountid",
            "billingperiodstartdate",
            "billingperiodenddate",
            "costinbillingcurrency",
            "date",
            "chargetype",
        ),
        (
            *(column.theirs for column in AZURE_COLUMNS),
            "billingperiodstartdate",
            "billingperiodenddate",
            "date",
            "chargetype",
            "meterid",
        ),
        folded=True,
        focus=_azure,
    ),
)


def recognised(header: Sequence[str]) -> Export:
    """Return the export whose columns the header has. Raises Invalid that names what the nearest one lacks."""
    names = set(header) | {name.casefold() for name in header}
    lacks = {export.name: [need for need in export.needs if need not in names] for export in EXPORTS}
    for export in EXPORTS:
        if not lacks[export.name]:
            return export
    nearest = min(EXPORTS, key=lambda export: len(lacks[export.name]) / len(export.needs))
    raise Invalid(
        f"no export we read; as {nearest.name} it lacks {', '.join(lacks[nearest.name])}", reason="export_unknown"
    )
