"""One charge of a bill: the columns of FOCUS 1.x (FinOps Open Cost and Usage Specification) that allocation uses.

Every provider's export is mapped to these columns first, so there is one shape and one set of checks. Everything in a
row is data, also text that a spreadsheet would run as a formula.
"""

import re
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from domain.base import Frozen, UtcDatetime

_AMOUNT: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,20})?([eE][+-]?\d{1,2})?", re.ASCII)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_LARGEST: Final = Decimal(10) ** 15
"""No single charge is larger; keeps sums of a million lines exact and short."""

_TAGS: Final = TypeAdapter(dict[str, str | bool | int | float | None])


def _amount(value: object) -> object:
    if not isinstance(value, str):
        return value
    if _AMOUNT.fullmatch(value) is None or abs(Decimal(value)) >= _LARGEST:
        raise ValueError("is not an amount of money")
    return Decimal(value)


def _instant(value: object) -> object:
    if isinstance(value, str) and _INSTANT.fullmatch(value) is None:
        raise ValueError("is not an instant with its zone, such as 2026-03-01T00:00:00Z")
    return value


def read_tags(text: str) -> tuple[tuple[str, str], ...]:
    """Read a JSON object of tags, with or without its braces (Azure leaves them out). Raises ValueError."""
    stripped = text.strip()
    try:
        read = _TAGS.validate_json(stripped if stripped.startswith("{") else f"{{{stripped}}}")
    except ValueError as error:
        raise ValueError("is not a JSON object of plain values") from error
    return tuple(sorted((name, _plain(one)) for name, one in read.items()))


def _tags(value: object) -> object:
    return read_tags(value) if isinstance(value, str) else value


def _plain(value: str | float | bool | None) -> str:  # noqa: FBT001 - a tag's value, not a switch
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Instant = Annotated[UtcDatetime, BeforeValidator(_instant)]
Name = Annotated[str, StringConstraints(max_length=1024)]
Tags = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_tags)]


class CostRecord(Frozen):
    """A charge. Field aliases are the FOCUS column names; `x_ChargeId` is ours, for bills that number their charges."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    account: Annotated[Name, StringConstraints(min_length=1)] = Field(alias="BillingAccountId")
    billing_start: Instant = Field(alias="BillingPeriodStart")
    billing_end: Instant = Field(alias="BillingPeriodEnd")
    charge_start: Instant = Field(alias="ChargePeriodStart")
    charge_end: Instant = Field(alias="ChargePeriodEnd")
    category: Literal["Usage", "Purchase", "Tax", "Credit", "Adjustment"] = Field(alias="ChargeCategory")
    charge_class: Literal["Correction"] | None = Field(None, alias="ChargeClass")
    sub_account: Name | None = Field(None, alias="SubAccountId")
    region: Name | None = Field(None, alias="RegionId")
    service: Name | None = Field(None, alias="ServiceName")
    sku: Name | None = Field(None, alias="SkuId")
    resource: Name | None = Field(None, alias="ResourceId")
    commitment: Literal["Used", "Unused"] | None = Field(None, alias="CommitmentDiscountStatus")
    tags: Tags = Field((), alias="Tags")
    charge_id: Name | None = Field(None, alias="x_ChargeId")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(alias="BillingCurrency")
    billed: Amount = Field(alias="BilledCost")
    effective: Amount | None = Field(None, alias="EffectiveCost")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.billing_end <= self.billing_start or self.charge_end <= self.charge_start:
            raise ValueError("a period ends before it starts")
        return self

    @property
    def identity(self) -> tuple[object, ...]:
        """What says that two lines are about the same charge: its id, or what was used, by whom and when.

        Tags take part only where no resource is named: a resource that is tagged later stays the same.
        """
        if self.charge_id is not None:
            return (self.account, self.billing_start, self.charge_id)
        apart = {"billed", "effective", *(("tags",) if self.resource else ())}
        return tuple(value for name, value in self if name not in apart)


COLUMNS: Final = tuple(field.alias or name for name, field in CostRecord.model_fields.items())
REQUIRED: Final = tuple(field.alias or name for name, field in CostRecord.model_fields.items() if field.is_required())
