"""The routes of version 1, one file per thing."""

from api.v1 import (
    commands,
    freezes,
    incidents,
    kill_switches,
    plans,
    principals,
    records,
    shared,
    subscriptions,
    traces,
)

ROUTERS = (
    incidents.router,
    commands.router,
    shared.router,
    plans.router,
    kill_switches.router,
    freezes.router,
    principals.router,
    principals.sources,
    records.router,
    traces.router,
    subscriptions.router,
)
