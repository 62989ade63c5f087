"""What the simulated stores hold, and what one commit does to it: accounts, profiles and transfers of one tenant.

Money only moves. The sum over all accounts of a tenant, over all its stores, is zero at every commit: a
transfer between two stores makes a cut that is not consistent visible as another sum.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from pydantic import JsonValue, TypeAdapter

from domain.base import Frozen
from runtime.stores.ports import Content

Value = str | int
Row = tuple[Value, ...]
TABLES: Mapping[str, tuple[tuple[str, type[Value]], ...]] = {
    "accounts": (("id", str), ("subject", str), ("balance_cents", int), ("opened_s", int)),
    "profiles": (("subject", str), ("email", str)),
    "transfers": (("id", str), ("account", str), ("amount_cents", int), ("at_s", int)),
}
"""Columns of each table besides the tenant; the first is the key within the tenant."""
HOUSE = "house"
"""The account that gives and takes where nobody else does: deposits, and what erased subjects leave behind."""
_ROW: TypeAdapter[tuple[Value, ...]] = TypeAdapter(tuple[Value, ...])


class Leg(Frozen):
    """What one commit does in one store."""

    store: str
    verb: Literal["open", "move", "profile", "erase"]
    account: str = ""
    subject: str = ""
    cents: int = 0
    transfer: str = ""
    email: str = ""
    undoes: int = 0
    """The commit whose half in this store it takes back, because another store lost the other half."""


class Commit(Frozen):
    """One commit in the global order, over one or more stores of a tenant."""

    seq: int
    tenant: str
    at_s: float
    legs: tuple[Leg, ...]


class Rows(Protocol):
    """One tenant's rows in one store, open for writing."""

    def get(self, table: str, key: str) -> Row | None:
        """Return a row."""
        ...

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Write a row, or remove it, and log it."""
        ...

    def keys(self, table: str, column: str, value: str) -> Sequence[str]:
        """Return the keys of rows whose column has the value, in order."""
        ...


def text_of(row: Row) -> str:
    """Return a row's canonical text."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def row_of(text: str) -> Row:
    """Read a row's canonical text. Raises pydantic.ValidationError."""
    return _ROW.validate_json(text, strict=False)


def carry_out(leg: Leg, rows: Rows, at_s: float) -> None:
    """Do a leg's work."""
    match leg.verb:
        case "open":
            rows.put("accounts", leg.account, (leg.account, leg.subject, leg.cents, int(at_s)))
            _add(rows, HOUSE, -leg.cents, at_s)
            if leg.email:
                rows.put("profiles", leg.subject, (leg.subject, leg.email))
        case "move":
            account = leg.account if rows.get("accounts", leg.account) else HOUSE
            _add(rows, account, leg.cents, at_s)
            rows.put("transfers", leg.transfer, (leg.transfer, account, leg.cents, int(at_s)))
        case "profile":
            if rows.get("profiles", leg.subject):
                rows.put("profiles", leg.subject, (leg.subject, leg.email))
        case "erase":
            _forget(rows, leg.subject, at_s)


def _add(rows: Rows, account: str, cents: int, at_s: float) -> None:
    held = rows.get("accounts", account) or (account, account, 0, int(at_s))
    rows.put("accounts", account, (held[0], held[1], int(held[2]) + cents, held[3]))


def _forget(rows: Rows, subject: str, at_s: float) -> None:
    for account in rows.keys("accounts", "subject", subject):
        held = rows.get("accounts", account)
        if held is not None and account != HOUSE:
            _add(rows, HOUSE, int(held[2]), at_s)
            for transfer in rows.keys("transfers", "account", account):
                rows.put("transfers", transfer, None)
            rows.put("accounts", account, None)
    if rows.get("profiles", subject):
        rows.put("profiles", subject, None)


def misfits(contents: Mapping[str, Content]) -> tuple[str, ...]:
    """Return what does not hold across a tenant's stores at one cut: the money does not add up."""
    balance = {
        store: sum(int(row_of(text)[2]) for text in content.get("accounts", {}).values())
        for store, content in contents.items()
    }
    total = sum(balance.values())
    if total == 0:
        return ()
    parts = ", ".join(f"{store} {cents:+d}" for store, cents in sorted(balance.items()))
    return (f"accounts over all stores sum to {total:+d} cents instead of 0 ({parts})",)


def legs_json(legs: Sequence[Leg]) -> list[JsonValue]:
    """Return legs as JSON."""
    return [leg.model_dump(mode="json", exclude_defaults=True) for leg in legs]


def made_good(commit: Commit, store: str, held: Callable[[str, int], bool], number: str) -> tuple[Leg, ...]:
    """Return what makes a commit whole again that one store lost: half a transfer goes back, an erasure stands.

    `held` tells whether a store, by all that was lost so far, holds what a commit did in it. Where what is lost is
    itself such a going back, it is done again, unless what it takes back is lost as well.
    """
    if all(leg.store != store for leg in commit.legs):
        return ()
    good: list[Leg] = []
    for leg in commit.legs:
        lost = leg.store == store
        if lost and (leg.verb == "erase" or (leg.undoes and held(store, leg.undoes))):
            good.append(leg)
        elif not lost and leg.verb == "move" and not leg.undoes and held(leg.store, commit.seq):
            back = {"cents": -leg.cents, "transfer": f"{leg.transfer}-back-{number}", "undoes": commit.seq}
            good.append(leg.model_copy(update=back))
    return tuple(good)
