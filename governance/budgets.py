"""Budgets: how much a tenant's commands may do in a window; held with the decision, never overspent.

A charge is `asked` until the command is approved, `held` until it starts (counts always), `spent` from then on (counts
while inside the window), `released` when the command ends before it starts.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, and_, func, or_, select, update

from domain.base import Frozen
from domain.commands import Command, Prediction
from domain.decisions import Budget
from domain.ids import CommandId, PrincipalId, TenantId
from governance.audit import AuditEntry, AuditLog
from storage.engine import Database
from storage.inserts import insert_into
from storage.tables.governance import budget_uses, budgets

ROUNDING = 1e-9
"""Far below one cent an hour, far above a double's error on sums of this size."""
Status = Literal["asked", "held", "spent", "released"]


class Charge(Frozen):
    """What one command takes of one tenant's budget."""

    tenant: TenantId
    resource: Literal["commands", "spend_usd_per_hour", "blast_radius", "error_budget"]
    amount: float


class BudgetLevel(Frozen):
    """A budget and what is taken of it now."""

    budget: Budget
    used: float


def spend_usd_per_hour(prediction: Prediction | None, by_price_list: float) -> float:
    """Return what a command may cost more in USD per hour: the price list's figure or the upper bound of the
    predicted one, whichever is higher. Policy compares this with the budget and the budget reserves it, so nobody is
    asked about what could not be reserved.
    """
    cost = prediction.cost_usd_per_hour if prediction is not None and prediction.known else None
    return by_price_list if cost is None else max(by_price_list, cost.high)


def charges_of(command: Command, by_price_list_usd_per_hour: float = 0.0) -> tuple[Charge, ...]:
    """Return what a command takes of every affected tenant: one command, its resources, its cost.

    An undo takes nothing: a spent budget must not keep damage.
    """
    if command.role == "undo":
        return ()
    amounts = {"commands": 1.0, "blast_radius": float(len(command.affected.resources))}
    spend = spend_usd_per_hour(command.prediction, by_price_list_usd_per_hour)
    if spend > 0:
        amounts["spend_usd_per_hour"] = spend
    tenants = sorted({command.tenant, *command.affected.tenants})
    return tuple(
        Charge.model_validate({"tenant": tenant, "resource": resource, "amount": amount})
        for tenant in tenants
        for resource, amount in sorted(amounts.items())
    )


def ask(connection: Connection, command: CommandId, charges: Sequence[Charge], at: datetime) -> None:
    """Note what a command will take once it is approved."""
    if charges:
        rows = [{**charge.model_dump(), "command": command, "status": "asked", "at": at} for charge in charges]
        connection.execute(budget_uses.insert(), rows)


def hold(connection: Connection, command: CommandId, at: datetime) -> str | None:
    """Turn a command's charges from asked to held, or return why a budget refuses. Locks the budgets it reads."""
    refusal = shortfall(connection, command, at, adding="asked")
    if refusal is None:
        move(connection, command, "held", at)
    return refusal


def shortfall(connection: Connection, command: CommandId, at: datetime, *, adding: Status | None = None) -> str | None:
    """Return which budget a command's charges exceed, if any; `adding` counts charges of that status on top."""
    mine = connection.execute(
        select(budget_uses)
        .where(budget_uses.c.command == command)
        .order_by(budget_uses.c.tenant, budget_uses.c.resource)
    ).all()
    for use in mine:
        level = _level(connection, use.tenant, use.resource, at)
        extra = use.amount if adding is not None and use.status == adding else 0.0
        if level is not None and level.used + extra > level.budget.limit + ROUNDING:
            return (
                f"budget: {use.resource} of {use.tenant} allows {level.budget.limit:g} per {level.budget.window_s} s, "
                f"{level.used:g} are taken and {use.amount:g} asked"
            )
    return None


def move(connection: Connection, command: CommandId, status: Status, at: datetime) -> None:
    """Move a command's charges to a status, unless they were released."""
    where = and_(budget_uses.c.command == command, budget_uses.c.status != "released")
    connection.execute(update(budget_uses).where(where).values(status=status, at=at))


def _level(connection: Connection, tenant: TenantId, resource: str, at: datetime) -> BudgetLevel | None:
    """Return a budget, locked, and what is taken of it; None when the tenant has none for the resource."""
    where = and_(budgets.c.tenant == tenant, budgets.c.resource == resource)
    row = connection.execute(select(budgets).where(where).with_for_update()).mappings().one_or_none()
    if row is None:
        return None
    budget = Budget.model_validate(dict(row))
    recent = budget_uses.c.at > at - timedelta(seconds=budget.window_s)
    counts = or_(budget_uses.c.status == "held", and_(budget_uses.c.status == "spent", recent))
    used = connection.execute(
        select(func.coalesce(func.sum(budget_uses.c.amount), 0.0)).where(
            budget_uses.c.tenant == tenant, budget_uses.c.resource == resource, counts
        )
    ).scalar_one()
    return BudgetLevel(budget=budget, used=float(used))


class Budgets:
    """Sets and shows budgets; taking from them is part of deciding and claiming."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def set(self, budget: Budget, actor: PrincipalId) -> None:
        """Set a tenant's budget for a resource; the new limit holds from the next decision or claim."""
        with self._database.begin() as connection:
            values = budget.model_dump()
            statement = insert_into(connection, budgets).values(**values)
            changes = {"limit": budget.limit, "window_s": budget.window_s}
            keys = [budgets.c.tenant, budgets.c.resource]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))
            entry = AuditEntry(
                tenant=budget.tenant, action="budget.set", subject=budget.resource, actor=actor, body=values
            )
            self._audit.append(connection, entry)

    def levels(self, tenant: TenantId, at: datetime) -> tuple[BudgetLevel, ...]:
        """Return a tenant's budgets with what is taken of each."""
        with self._database.begin() as connection:
            names = connection.execute(
                select(budgets.c.resource).where(budgets.c.tenant == tenant).order_by(budgets.c.resource)
            ).scalars()
            found = [_level(connection, tenant, name, at) for name in names.all()]
        return tuple(level for level in found if level is not None)
